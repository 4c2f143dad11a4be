/*
Copyright The Docker Control Platform Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package bench

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	// lineBytes is a line's length with its newline, seqDigits that of the number that it
	// begins with.
	lineBytes, seqDigits = 100, 8
	// writerTick is how often the writer writes: a burst is 50 lines at 10,000 a second.
	writerTick = 5 * time.Millisecond
	// writerBurst is how many lines it writes at once where it was held up.
	writerBurst = 500
	writerReady = "ready"
)

// runWriter is logWriter with what --be-writer says.
func runWriter(how string) int {
	var rate, lines int
	if _, err := fmt.Sscanf(how, "%d,%d", &rate, &lines); err != nil {
		fmt.Fprintf(os.Stderr, "--be-writer %q: %v\n", how, err)
		return 1
	}
	return logWriter(rate, lines)
}

// logWriter is what runs in the container: this program again. It says that it is ready,
// waits for SIGUSR1 and writes numbered lines, as evenly as a clock of writerTick lets it.
// Then it waits to be killed: a container that ends would end its log.
func logWriter(rate, lines int) int {
	begin := make(chan os.Signal, 1)
	signal.Notify(begin, syscall.SIGUSR1)
	fmt.Println(writerReady)
	<-begin
	began, burst := time.Now(), make([]byte, 0, writerBurst*lineBytes)
	for sent := 0; sent < lines; {
		due := min(int(time.Since(began).Seconds()*float64(rate)), lines)
		burst = burst[:0]
		for ; sent < due && len(burst) < cap(burst); sent++ {
			burst = appendLine(burst, uint64(sent))
		}
		if _, err := os.Stdout.Write(burst); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		if sent == due {
			time.Sleep(writerTick)
		}
	}
	<-begin // nobody sends another
	return 0
}

// appendLine spells a line: its number and as many dots as make it lineBytes.
func appendLine(dst []byte, n uint64) []byte {
	dst = binary.BigEndian.AppendUint64(dst, numeral(n))
	for range lineBytes - seqDigits - 1 {
		dst = append(dst, '.')
	}
	return append(dst, '\n')
}

// numeral is a line's number as the eight digits that it is written with, in one word:
// two are compared at once, and the next one is mostly one more.
func numeral(n uint64) uint64 {
	var word uint64
	for shift := 0; shift < 64; shift += 8 {
		word |= (n%10 + '0') << shift
		n /= 10
	}
	return word
}

// numberOf is the reverse of numeral; false where those are no digits.
func numberOf(word uint64) (n uint64, ok bool) {
	for shift := 56; shift >= 0; shift -= 8 {
		digit := word>>shift&0xff - '0'
		if digit > 9 {
			return 0, false
		}
		n = n*10 + digit
	}
	return n, true
}
