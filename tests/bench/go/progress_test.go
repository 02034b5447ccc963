package main

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func taken(p *progress, offsets ...int64) []*delivery {
	var deliveries []*delivery
	for _, offset := range offsets {
		d := p.take(&kgo.Record{Offset: offset})
		if !p.begin() {
			panic("the partition is not assigned")
		}
		deliveries = append(deliveries, d)
	}
	return deliveries
}

func TestOnlyWhatLiesBelowTheFirstUndeliveredRecordIsCommitted(t *testing.T) {
	p := newProgress()
	d := taken(p, 3, 5, 6) // offsets have gaps
	p.end(d[1], true)
	if p.position() != nil {
		t.Fatal("a record after an undelivered one would be committed")
	}
	p.end(d[0], true)
	if p.position().Offset != 5 {
		t.Fatalf("position %d, wanted 5", p.position().Offset)
	}
	p.end(d[2], false)
	if p.position().Offset != 5 {
		t.Fatal("a record that failed would be committed")
	}
}

func TestADrainWaitsForDeliveriesAndThenSendsNothing(t *testing.T) {
	p := newProgress()
	d := taken(p, 0)
	go func() {
		time.Sleep(20 * time.Millisecond)
		p.end(d[0], true)
	}()
	if record := p.drain(time.Minute); record == nil || record.Offset != 0 {
		t.Fatal("the delivery was not waited for")
	}
	if p.begin() {
		t.Fatal("a request would begin after the partition was revoked")
	}
}

func TestADrainEndsWhenItsTimeIsOver(t *testing.T) {
	p := newProgress()
	d := taken(p, 0, 1)
	p.end(d[0], true)
	go func() {
		<-p.ctx.Done() // a request that is canceled fails
		p.end(d[1], false)
	}()
	if record := p.drain(time.Millisecond); record == nil || record.Offset != 0 {
		t.Fatal("the delivered record is not committed")
	}
}
