package main

import (
	"bytes"
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"sync"
)

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
}

func runReceiver(arguments []string) error {
	flags := flag.NewFlagSet("receiver", flag.ExitOnError)
	port := flags.Int("port", 0, "of loopback; 0 selects a free one, which is printed")
	cert := flags.String("cert", "", "a certificate: serve https as well, on the second port that is printed")
	key := flags.String("key", "", "its key")
	flags.Parse(arguments)
	s := &server{behaviors: map[string]behavior{}, judges: map[string]*judge{}}
	ended := make(chan error)
	listen := func(port int, wrap func(net.Listener) net.Listener) (int, error) {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return 0, err
		}
		go func() { ended <- s.accept(wrap(listener)) }()
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

func (s *server) judge(path []byte) (*judge, behavior) {
	s.mu.RLock()
	j, b := s.judges[string(path)], s.behaviors[string(path)]
	s.mu.RUnlock()
	if j == nil {
		s.mu.Lock()
		if j = s.judges[string(path)]; j == nil {
			j = newJudge()
			s.judges[string(path)] = j
		}
		s.mu.Unlock()
	}
	return j, b
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
