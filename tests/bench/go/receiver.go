package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const maxBody = 16 << 20

// A behavior is how a path answers: after the delay, and with the status for each Every-th request, else with 200.
type behavior struct {
	Path    string  `json:"path"`
	DelayMs float64 `json:"delay_ms"`
	Status  int     `json:"status"`
	Every   int     `json:"every"`
}

type server struct {
	mu        sync.RWMutex
	judges    map[string]*judge
	behaviors map[string]behavior
	bodies    sync.Pool
}

func runReceiver(arguments []string) error {
	flags := flag.NewFlagSet("receiver", flag.ExitOnError)
	port := flags.Int("port", 0, "of loopback; 0 selects a free one, which is printed")
	cert := flags.String("cert", "", "a certificate: serve https as well, on the second port that is printed")
	key := flags.String("key", "", "its key")
	flags.Parse(arguments)
	s := &server{behaviors: map[string]behavior{}, judges: map[string]*judge{}}
	s.bodies.New = func() any { return new(bytes.Buffer) }
	ended := make(chan error)
	listen := func(port int, wrap func(net.Listener) net.Listener) (int, error) {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return 0, err
		}
		go func() { ended <- (&http.Server{Handler: s}).Serve(wrap(listener)) }()
		return listener.Addr().(*net.TCPAddr).Port, nil
	}
	plain, err := listen(*port, func(l net.Listener) net.Listener { return l })
	if err != nil {
		return err
	}
	secure := 0
	if *cert != "" {
		pair, err := tls.LoadX509KeyPair(*cert, *key)
		if err != nil {
			return err
		}
		config := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
		if secure, err = listen(0, func(l net.Listener) net.Listener { return tls.NewListener(l, config) }); err != nil {
			return err
		}
	}
	fmt.Println(plain, secure)
	return <-ended
}

func (s *server) judge(path string) (*judge, behavior) {
	s.mu.RLock()
	j, b := s.judges[path], s.behaviors[path]
	s.mu.RUnlock()
	if j == nil {
		s.mu.Lock()
		if j = s.judges[path]; j == nil {
			j = newJudge()
			s.judges[path] = j
		}
		s.mu.Unlock()
	}
	return j, b
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_") {
		if err := s.administer(w, r); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			json.NewEncoder(w).Encode(map[string]string{"problem": err.Error()})
		}
		return
	}
	now := time.Now().UnixNano()
	body := s.bodies.Get().(*bytes.Buffer)
	defer s.bodies.Put(body)
	body.Reset()
	if _, err := io.Copy(body, http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		return
	}
	j, b := s.judge(r.URL.Path)
	entity, seq := field(body.Bytes(), `"entity":"`), number(body.Bytes(), `"seq":`)
	id := r.Header.Get("Webhook-Id")
	l, count := j.arrived(id, entity, seq, now)
	if count == 1 {
		j.keep(r, body.String())
	}
	if b.DelayMs > 0 {
		time.Sleep(time.Duration(b.DelayMs * float64(time.Millisecond)))
	}
	status := http.StatusOK
	if b.Every > 0 && count%b.Every == 0 {
		status = b.Status
	}
	j.ended(l, id, seq, status) // before the answer: the next request may arrive on another connection
	w.WriteHeader(status)
}

func (j *judge) keep(r *http.Request, body string) {
	kept := &sample{Headers: map[string]string{}, Body: body}
	for name, values := range r.Header {
		kept.Headers[strings.ToLower(name)] = values[0]
	}
	j.mu.Lock()
	j.sample = kept
	j.mu.Unlock()
}

// field returns the text that follows the first occurrence of a JSON key, up to its quote. Hookferry and the peer
// write compact JSON, and entities contain no escapes.
func field(body []byte, key string) []byte {
	at := bytes.Index(body, []byte(key))
	if at < 0 {
		return nil
	}
	rest := body[at+len(key):]
	return rest[:max(0, bytes.IndexByte(rest, '"'))]
}

// number returns the integer that follows the first occurrence of a JSON key; -1 if there is none.
func number(body []byte, key string) int64 {
	at := bytes.Index(body, []byte(key))
	if at < 0 {
		return -1
	}
	value := int64(-1)
	for _, digit := range body[at+len(key):] {
		if digit < '0' || digit > '9' {
			break
		}
		value = max(value, 0)*10 + int64(digit-'0')
	}
	return value
}

// administer has the paths of tests/support/receiver_server.py that the benchmark uses, and /_arrivals.
func (s *server) administer(w http.ResponseWriter, r *http.Request) error {
	path := r.URL.Query().Get("path")
	switch r.URL.Path {
	case "/_control":
		var b behavior
		decoder := json.NewDecoder(r.Body)
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&b); err != nil {
			return err
		}
		s.mu.Lock()
		s.behaviors[b.Path] = b
		s.mu.Unlock()
		return json.NewEncoder(w).Encode(map[string]any{})
	case "/_reset":
		s.mu.Lock()
		s.judges, s.behaviors = map[string]*judge{}, map[string]behavior{}
		s.mu.Unlock()
		return json.NewEncoder(w).Encode(map[string]any{})
	case "/_count":
		j, _ := s.judge(path)
		j.mu.Lock()
		defer j.mu.Unlock()
		return json.NewEncoder(w).Encode(map[string]int{"distinct": len(j.isAccepted), "accepted": j.accepted, "requests": j.requests})
	case "/_report":
		reports := map[string]any{}
		s.mu.RLock()
		defer s.mu.RUnlock()
		for name, j := range s.judges {
			reports[name] = j.report()
		}
		return json.NewEncoder(w).Encode(map[string]any{"paths": reports})
	case "/_records":
		j, _ := s.judge(path)
		j.mu.Lock()
		defer j.mu.Unlock()
		records := []*sample{}
		if j.sample != nil {
			records = append(records, j.sample)
		}
		return json.NewEncoder(w).Encode(map[string]any{"records": records})
	case "/_arrivals":
		j, _ := s.judge(path)
		j.mu.Lock()
		defer j.mu.Unlock()
		out := bufio.NewWriter(w)
		for _, one := range j.arrivals {
			fmt.Fprintln(out, one.entity, strconv.FormatInt(one.seq, 10), one.at)
		}
		return out.Flush()
	}
	return errors.New("no such path: " + r.URL.Path)
}
