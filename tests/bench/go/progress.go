package main

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A delivery is one record that was taken and is not yet committed.
type delivery struct {
	record   *kgo.Record
	progress *progress
	done     bool // guarded by progress.mu
}

// progress is the state of one assigned partition. Its workers finish in any order, but Kafka keeps one number
// per partition, so only what lies below the first record that was not delivered may be committed.
type progress struct {
	ctx    context.Context // ends when nothing more may be sent
	cancel context.CancelFunc

	mu        sync.Mutex
	taken     []*delivery // in the order of the log; the first one is not delivered
	committed *kgo.Record // the last record of the delivered prefix
	active    int         // deliveries that a worker holds
	idle      *sync.Cond  // active or the length of taken has fallen to 0
}

func newProgress() *progress {
	p := &progress{}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.idle = sync.NewCond(&p.mu)
	return p
}

func (p *progress) take(record *kgo.Record) *delivery {
	d := &delivery{record: record, progress: p}
	p.mu.Lock()
	p.taken = append(p.taken, d)
	p.mu.Unlock()
	return d
}

// untake forgets the record that was taken last: no worker got it.
func (p *progress) untake() {
	p.mu.Lock()
	p.taken = p.taken[:len(p.taken)-1]
	p.mu.Unlock()
}

// begin returns false if the partition was revoked: the next owner delivers the record.
func (p *progress) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return false
	}
	p.active++
	return true
}

func (p *progress) end(d *delivery, delivered bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active--
	d.done = delivered
	first := 0
	for first < len(p.taken) && p.taken[first].done {
		p.committed = p.taken[first].record
		p.taken[first] = nil
		first++
	}
	p.taken = p.taken[first:]
	if p.active == 0 || len(p.taken) == 0 {
		p.idle.Broadcast()
	}
}

func (p *progress) position() *kgo.Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.committed
}

// drain lets the taken records finish until the time is over, ends the others, and returns what to commit.
func (p *progress) drain(limit time.Duration) *kgo.Record {
	over := false
	timer := time.AfterFunc(limit, func() {
		p.mu.Lock()
		over = true
		p.idle.Broadcast()
		p.mu.Unlock()
	})
	defer timer.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.taken) > 0 && !over {
		p.idle.Wait()
	}
	p.cancel()
	for p.active > 0 { // a request that was canceled returns at once
		p.idle.Wait()
	}
	return p.committed
}
