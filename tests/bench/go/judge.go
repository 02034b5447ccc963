package main

import (
	"math"
	"slices"
	"sync"
)

// An arrival is the first request of one event.
type arrival struct {
	entity string
	seq    int64
	at     int64 // nanoseconds
}

// A judge counts the requests of one path. The terms are those of tests/support/receiver_log.py: an event is
// accepted when it is answered with 2xx; a retry is an id that arrives again before that, a repeat after it. An
// inversion is an event that is accepted for the first time after a later one of its entity. An overlap is a
// second request about an entity while one is in flight.
type judge struct {
	mu                                                  sync.Mutex
	requests, accepted, retries, repeats, without       int
	inversions, overlaps, inFlight, mostInFlight, other int
	isAccepted                                          map[string]bool // by webhook-id
	lanes                                               map[string]*lane
	arrivals                                            []arrival
	sample                                              *sample
}

type lane struct {
	last     int64 // the highest seq that was accepted
	inFlight int
}

type sample struct {
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

func (j *judge) keep(request *sample) {
	j.mu.Lock()
	j.sample = request
	j.mu.Unlock()
}

func newJudge() *judge {
	return &judge{isAccepted: map[string]bool{}, lanes: map[string]*lane{}}
}

// arrived records a request and returns the lane of its entity, and its number on this path.
func (j *judge) arrived(id string, entity []byte, seq, now int64) (*lane, int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.requests++
	j.inFlight++
	j.mostInFlight = max(j.mostInFlight, j.inFlight)
	l := j.lanes[string(entity)]
	if l == nil {
		l = &lane{last: -1}
		j.lanes[string(entity)] = l
	}
	if l.inFlight > 0 && len(entity) > 0 {
		j.overlaps++
	}
	l.inFlight++
	if id == "" {
		j.without++
		return l, j.requests
	}
	accepted, seen := j.isAccepted[id]
	switch {
	case accepted:
		j.repeats++
	case seen:
		j.retries++
	default:
		j.isAccepted[id] = false
		j.arrivals = append(j.arrivals, arrival{string(entity), seq, now})
	}
	return l, j.requests
}

// ended records the answer; seq is negative if the body had none.
func (j *judge) ended(l *lane, id string, seq int64, status int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.inFlight--
	l.inFlight--
	if status/100 != 2 {
		j.other++
		return
	}
	if id == "" || j.isAccepted[id] {
		return
	}
	j.isAccepted[id] = true
	j.accepted++
	switch {
	case seq < 0:
	case seq > l.last:
		l.last = seq
	default:
		j.inversions++
	}
}

func (j *judge) report() map[string]any {
	j.mu.Lock()
	defer j.mu.Unlock()
	return map[string]any{"requests": j.requests, "distinct": len(j.isAccepted), "accepted": j.accepted,
		"without_id": j.without, "retries": j.retries, "repeats": j.repeats, "inversions": j.inversions,
		"overlaps": j.overlaps, "in_flight": j.inFlight, "most_in_flight": j.mostInFlight, "refused": j.other,
		"rate_middle": middleRate(j.arrivals)}
}

// middleRate returns events per second over the middle 80 % of the arrivals, without the ends.
func middleRate(arrivals []arrival) float64 {
	times := make([]int64, len(arrivals))
	for number, one := range arrivals {
		times[number] = one.at
	}
	slices.Sort(times)
	if len(times) < 100 {
		return 0
	}
	first, last := len(times)/10, len(times)-len(times)/10-1
	return float64(last-first) / math.Max(1, float64(times[last]-times[first])) * 1e9
}
