package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

const (
	maxBody = 16 << 20
	maxLine = 16 << 10
)

var (
	errRequest = errors.New("not a request with a Content-Length")
	accepted   = []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
)

// A connection reads HTTP/1.1 by itself. The receiver shares the cores with what is measured, and with net/http it
// would take nearly twice the CPU per request.
type connection struct {
	net.Conn
	server *server
	reader *bufio.Reader
	head   []byte // the request line and the headers of the current request
	body   []byte
}

func (s *server) accept(listener net.Listener) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			c := &connection{Conn: conn, server: s, reader: bufio.NewReaderSize(conn, maxLine)}
			for c.serve() == nil {
			}
		}()
	}
}

// serve reads one request and answers it.
func (c *connection) serve() error {
	id, err := c.read()
	if err != nil {
		return err
	}
	path := c.target()
	if bytes.HasPrefix(path, []byte("/_")) {
		return c.administer(string(path))
	}
	now := time.Now().UnixNano()
	j, b := c.server.judge(path)
	entity, seq := field(c.body, `"entity":"`), number(c.body, `"seq":`)
	l, count := j.arrived(id, entity, seq, now)
	if count == 1 {
		j.keep(c.sample())
	}
	if b.DelayMs > 0 {
		time.Sleep(time.Duration(b.DelayMs * float64(time.Millisecond)))
	}
	if b.Every > 0 && count%b.Every == 0 {
		j.ended(l, id, seq, b.Status)
		return c.answer(b.Status, nil)
	}
	j.ended(l, id, seq, 200) // before the answer: the next request may arrive on another connection
	_, err = c.Write(accepted)
	return err
}

// read fills head and body with the next request and returns its webhook-id.
func (c *connection) read() (id string, err error) {
	c.head = c.head[:0]
	length := 0
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		first := len(c.head) == 0
		c.head = append(c.head, line...)
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, found := bytes.Cut(line, []byte(":"))
		switch value = bytes.TrimSpace(value); {
		case first || !found:
		case bytes.EqualFold(name, []byte("webhook-id")):
			id = string(value)
		case bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 || length > maxBody {
				return "", errRequest
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			return "", errRequest
		}
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	_, err = io.ReadFull(c.reader, c.body)
	return id, err
}

func (c *connection) target() []byte {
	_, rest, _ := bytes.Cut(c.head, []byte(" "))
	target, _, _ := bytes.Cut(rest, []byte(" "))
	return target
}

func (c *connection) sample() *sample {
	kept := &sample{Headers: map[string]string{}, Body: string(c.body)}
	for _, line := range strings.Split(string(c.head), "\r\n")[1:] {
		if name, value, found := strings.Cut(line, ":"); found {
			kept.Headers[strings.ToLower(name)] = strings.TrimSpace(value)
		}
	}
	return kept
}

func (c *connection) answer(status int, body []byte) error {
	head := fmt.Appendf(nil, "HTTP/1.1 %d Status\r\nContent-Length: %d\r\n\r\n", status, len(body))
	_, err := c.Write(append(head, body...))
	return err
}
