package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
)

// administer answers the paths of tests/support/receiver_server.py that the benchmark uses, and /_arrivals.
func (c *connection) administer(target string) error {
	parsed, err := url.Parse(target)
	if err != nil {
		return c.answer(400, nil)
	}
	answer, err := c.server.control(parsed.Path, parsed.Query().Get("path"), c.body)
	if err != nil {
		problem, _ := json.Marshal(map[string]string{"problem": err.Error()})
		return c.answer(400, problem)
	}
	return c.answer(200, answer)
}

func (s *server) control(command, path string, body []byte) ([]byte, error) {
	switch command {
	case "/_control":
		var b behavior
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&b); err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.behaviors[b.Path] = b
		return []byte("{}"), nil
	case "/_reset":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.judges, s.behaviors = map[string]*judge{}, map[string]behavior{}
		return []byte("{}"), nil
	case "/_report":
		reports := map[string]any{}
		s.mu.RLock()
		defer s.mu.RUnlock()
		for name, j := range s.judges {
			reports[name] = j.report()
		}
		return json.Marshal(map[string]any{"paths": reports})
	}
	j, _ := s.judge([]byte(path))
	j.mu.Lock()
	defer j.mu.Unlock()
	switch command {
	case "/_count":
		return json.Marshal(map[string]int{"distinct": len(j.isAccepted), "accepted": j.accepted, "requests": j.requests})
	case "/_records":
		records := []*sample{}
		if j.sample != nil {
			records = append(records, j.sample)
		}
		return json.Marshal(map[string]any{"records": records})
	case "/_arrivals":
		var out []byte
		for _, one := range j.arrivals {
			out = append(append(out, one.entity...), ' ')
			out = append(strconv.AppendInt(out, one.seq, 10), ' ')
			out = append(strconv.AppendInt(out, one.at, 10), '\n')
		}
		return out, nil
	}
	return nil, fmt.Errorf("no such path: %s", command)
}
