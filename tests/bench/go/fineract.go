package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/kgo"
)

const headerBytes = 10 // Avro single-object encoding: C3 01 and a fingerprint of 8 bytes

var errShort = errors.New("the envelope is too short")

// fineractRenderer decodes Fineract's envelope and the payload in it, and writes both as JSON.
func fineractRenderer(folder string) (func(*kgo.Record) ([]byte, error), error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.avsc"))
	if err != nil {
		return nil, err
	}
	schemas := map[[8]byte]avro.Schema{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		schema, err := avro.ParseBytes(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		print, err := schema.FingerprintUsing(avro.CRC64AvroLE)
		if err != nil {
			return nil, err
		}
		schemas[[8]byte(print)] = schema
	}
	return func(record *kgo.Record) ([]byte, error) {
		texts, payload, err := readEnvelope(record.Value)
		if err != nil {
			return nil, err
		}
		if len(payload) < headerBytes || len(record.Key) != 8 {
			return nil, errShort
		}
		schema := schemas[[8]byte(payload[2:headerBytes])]
		if schema == nil {
			return nil, fmt.Errorf("no schema of fingerprint %x", payload[2:headerBytes])
		}
		var data map[string]any
		if err := avro.Unmarshal(schema, payload[headerBytes:], &data); err != nil {
			return nil, err
		}
		return json.Marshal(struct {
			Type      string         `json:"type"`
			Timestamp string         `json:"timestamp"`
			Entity    string         `json:"entity"`
			Tenant    string         `json:"tenant"`
			Data      map[string]any `json:"data"`
		}{texts[1], texts[3], fmt.Sprint(int64(binary.BigEndian.Uint64(record.Key))), texts[5], data})
	}, nil
}

// readEnvelope returns the eight texts (source, type, category, time, date, tenant, key, schema) and the payload.
func readEnvelope(value []byte) (texts [8]string, payload []byte, err error) {
	if len(value) < headerBytes {
		return texts, nil, errShort
	}
	rest := value[headerBytes:]
	_, used := binary.Varint(rest) // the id
	if used <= 0 {
		return texts, nil, errShort
	}
	rest = rest[used:]
	for number := range 9 {
		length, used := binary.Varint(rest)
		if used <= 0 || length < 0 || length > int64(len(rest)-used) {
			return texts, nil, errShort
		}
		part := rest[used : used+int(length)]
		rest = rest[used+int(length):]
		if number == 8 {
			payload = part
		} else {
			texts[number] = string(part)
		}
	}
	return texts, payload, nil
}
