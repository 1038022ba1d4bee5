package queue

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
)

// header is length and checksum, each of 4 bytes, in front of a record.
const header = 8

// limit on a record, so that a damaged length is not taken for one.
const limit = 64 << 20

var errDamaged = errors.New("a record is damaged")

func frame(data []byte) []byte {
	framed := make([]byte, header, header+len(data))
	binary.BigEndian.PutUint32(framed, uint32(len(data)))
	binary.BigEndian.PutUint32(framed[4:], crc32.ChecksumIEEE(data))
	return append(framed, data...)
}

func frameSize(data []byte) int64 { return int64(header + len(data)) }

func unframe(from io.Reader) ([]byte, error) {
	var head [header]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(head[:])
	if length > limit {
		return nil, errDamaged
	}
	data := make([]byte, length)
	if _, err := io.ReadFull(from, data); err != nil {
		return nil, err
	}
	if crc32.ChecksumIEEE(data) != binary.BigEndian.Uint32(head[4:]) {
		return nil, errDamaged
	}
	return data, nil
}

// scan counts the whole records from an offset on and says where they end.
func scan(file *os.File, start int64) (count, end int64, err error) {
	info, err := file.Stat()
	if err != nil {
		return 0, 0, err
	}
	end = start
	reader := bufio.NewReader(io.NewSectionReader(file, start, info.Size()-start))
	for {
		data, err := unframe(reader)
		if err != nil {
			return count, end, nil
		}
		count++
		end += frameSize(data)
	}
}
