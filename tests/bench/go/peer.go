package main

import (
	"context"
	"flag"
	"fmt"
	"hash/maphash"
	"log"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	queued      = 64 // records that wait at one worker
	polled      = 1000
	commitEvery = time.Second
	drainLimit  = 10 * time.Second
)

type place struct {
	topic     string
	partition int32
}

// A consumer reads one topic in a group of its own and sends each record to one URL. A record belongs to the
// worker that the hash of its key selects, so a key keeps its order and never has two requests in flight.
// There are no dead letters, no dedupe, no history and no metrics.
type consumer struct {
	client *kgo.Client
	sender *sender
	seed   maphash.Seed
	queues []chan *delivery

	committing sync.Mutex // a commit never overtakes the one at a revocation
	mu         sync.Mutex
	assigned   map[place]*progress
}

func runPeer(arguments []string) error {
	flags := flag.NewFlagSet("peer", flag.ExitOnError)
	brokers := flags.String("brokers", "127.0.0.1:9092", "addresses, separated by commas")
	topic := flags.String("topic", "", "the topic")
	group := flags.String("group", "", "the consumer group; with several URLs, each has its own")
	urls := flags.String("urls", "", "receivers, separated by commas")
	workers := flags.Int("workers", 64, "requests at a time for each receiver")
	secret := flags.String("secret", "", "whsec_…; without it, requests are not signed")
	authority := flags.String("ca", "", "a file with the authority of an https receiver")
	schemas := flags.String("fineract", "", "a folder of Avro schemas: decode Fineract's records to JSON")
	flags.Parse(arguments)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	var running sync.WaitGroup
	for number, target := range strings.Split(*urls, ",") {
		sender, err := newSender(target, *secret, *authority, *workers)
		if err != nil {
			return err
		}
		if *schemas != "" {
			if sender.render, err = fineractRenderer(*schemas); err != nil {
				return err
			}
		}
		c, err := newConsumer(strings.Split(*brokers, ","), *topic, fmt.Sprintf("%s-%d", *group, number), sender, *workers)
		if err != nil {
			return err
		}
		running.Add(1)
		go func() {
			defer running.Done()
			c.run(ctx)
		}()
	}
	running.Wait()
	return nil
}

func newConsumer(brokers []string, topic, group string, sender *sender, workers int) (*consumer, error) {
	c := &consumer{sender: sender, seed: maphash.MakeSeed(), queues: make([]chan *delivery, workers),
		assigned: map[place]*progress{}}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(brokers...), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsRevoked(func(ctx context.Context, _ *kgo.Client, lost map[string][]int32) {
			c.committing.Lock()
			defer c.committing.Unlock()
			c.commit(ctx, c.release(lost))
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) { c.release(lost) }))
	if err != nil {
		return nil, err
	}
	c.client = client
	for number := range c.queues {
		c.queues[number] = make(chan *delivery, queued)
		go c.work(c.queues[number])
	}
	return c, nil
}

func (c *consumer) work(queue chan *delivery) {
	for d := range queue {
		if d.progress.begin() {
			d.progress.end(d, c.sender.deliver(d.progress.ctx, d.record))
		}
	}
}

func (c *consumer) run(ctx context.Context) {
	go c.commitRegularly(ctx)
	for ctx.Err() == nil {
		fetches := c.client.PollRecords(ctx, polled)
		fetches.EachError(func(topic string, partition int32, err error) {
			if ctx.Err() == nil {
				log.Printf("fetch of %s/%d: %v", topic, partition, err)
			}
		})
		fetches.EachPartition(func(fetched kgo.FetchTopicPartition) {
			p := c.progress(place{fetched.Topic, fetched.Partition})
			for _, record := range fetched.Records {
				if ctx.Err() != nil {
					return
				}
				select {
				case c.queue(record) <- p.take(record):
				case <-ctx.Done():
					p.untake()
				}
			}
		})
		c.client.AllowRebalance()
	}
	c.client.CloseAllowingRebalance() // leaves the group, which revokes all, drains and commits
}

func (c *consumer) progress(at place) *progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.assigned[at]
	if p == nil {
		p = newProgress()
		c.assigned[at] = p
	}
	return p
}

func (c *consumer) queue(record *kgo.Record) chan *delivery {
	key := record.Key
	if key == nil { // no key, no order
		key = strconv.AppendInt(nil, record.Offset, 10)
	}
	return c.queues[maphash.Bytes(c.seed, key)%uint64(len(c.queues))]
}

func (c *consumer) commitRegularly(ctx context.Context) {
	for range time.Tick(commitEvery) {
		if ctx.Err() != nil {
			return
		}
		c.committing.Lock()
		var records []*kgo.Record
		c.mu.Lock()
		for _, p := range c.assigned {
			if record := p.position(); record != nil {
				records = append(records, record)
			}
		}
		c.mu.Unlock()
		c.commit(ctx, records)
		c.committing.Unlock()
	}
}

func (c *consumer) commit(ctx context.Context, records []*kgo.Record) {
	if len(records) == 0 {
		return
	}
	if err := c.client.CommitRecords(ctx, records...); err != nil && ctx.Err() == nil {
		log.Printf("commit: %v", err)
	}
}

// release ends the work on these partitions and returns the records up to which they are delivered.
func (c *consumer) release(lost map[string][]int32) []*kgo.Record {
	var ending []*progress
	c.mu.Lock()
	for topic, partitions := range lost {
		for _, partition := range partitions {
			at := place{topic, partition}
			if p := c.assigned[at]; p != nil {
				ending = append(ending, p)
				delete(c.assigned, at)
			}
		}
	}
	c.mu.Unlock()
	var records []*kgo.Record
	until := time.Now().Add(drainLimit)
	for _, p := range ending {
		if record := p.drain(time.Until(until)); record != nil {
			records = append(records, record)
		}
	}
	return records
}
