// Command bench holds what the published benchmark compares Hookferry with, and what judges both.
//
//	bench peer     a Kafka consumer that sends each record to a URL, as an engineer would write it by hand
//	bench receiver a webhook receiver that checks order and repeats and measures arrival times
//
// Only make bench uses it; nothing of it is part of the product. All traffic stays on loopback.
package main

import (
	"fmt"
	"os"
)

func main() {
	commands := map[string]func([]string) error{"peer": runPeer, "receiver": runReceiver}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: bench peer|receiver [flags]")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench", os.Args[1]+":", err)
		os.Exit(1)
	}
}
