package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	firstWait = 100 * time.Millisecond
	maxWait   = 30 * time.Second
	kept      = 64 << 10 // bytes of an answer that are read, so that its connection can be used again
)

// sender posts records to one URL, signed as Standard Webhooks 1.0.0 requires if it has a secret.
type sender struct {
	client *http.Client
	url    *url.URL
	secret []byte
	render func(*kgo.Record) ([]byte, error) // nil: the value as it is
}

func newSender(target, secret, authority string, connections int) (*sender, error) {
	parsed, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return nil, fmt.Errorf("the secret: %w", err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: connections, IdleConnTimeout: time.Minute}
	if authority != "" {
		pem, err := os.ReadFile(authority)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	client := &http.Client{Transport: transport, Timeout: 15 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &sender{client: client, url: parsed, secret: key}, nil
}

// deliver repeats the request until an answer is 2xx. It returns false if the context ended before.
func (s *sender) deliver(ctx context.Context, record *kgo.Record) bool {
	id := record.Topic + "-" + strconv.Itoa(int(record.Partition)) + "-" + strconv.FormatInt(record.Offset, 10)
	body := record.Value
	if s.render != nil {
		rendered, err := s.render(record)
		if err != nil { // it has no dead letters: a record that cannot be read ends the process
			log.Fatalf("%s: %v", id, err)
		}
		body = rendered
	}
	for wait := firstWait; ctx.Err() == nil; wait = min(2*wait, maxWait) {
		err := s.post(ctx, id, body)
		if err == nil {
			return true
		}
		log.Printf("%s: %v", id, err)
		select {
		case <-ctx.Done():
		case <-time.After(wait/2 + rand.N(wait)):
		}
	}
	return false
}

func (s *sender) post(ctx context.Context, id string, body []byte) error {
	header := http.Header{"Content-Type": {"application/json"}, "Webhook-Id": {id}}
	if len(s.secret) > 0 {
		timestamp := strconv.FormatInt(time.Now().Unix(), 10)
		mac := hmac.New(sha256.New, s.secret)
		io.WriteString(mac, id+"."+timestamp+".")
		mac.Write(body)
		header["Webhook-Timestamp"] = []string{timestamp}
		header["Webhook-Signature"] = []string{"v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))}
	}
	request := &http.Request{Method: http.MethodPost, URL: s.url, Host: s.url.Host, Header: header,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }}
	response, err := s.client.Do(request.WithContext(ctx))
	if err != nil {
		return err
	}
	io.Copy(io.Discard, io.LimitReader(response.Body, kept))
	response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("answered %s", response.Status)
	}
	return nil
}
