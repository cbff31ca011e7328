// Cuts a byte stream into frames: a header of fixed size, which says how many bytes follow. Docker's attach stream and HTTP/2 are
// made of such; what is in a frame is the caller's business.

interface FrameFormat {
  headerBytes: number;
  /** Bytes after the header, read from a buffer that begins with it. */
  payloadBytes(header: Buffer): number;
}

/** Takes pieces that know no frame borders; hands over each frame, with its header, once it is whole. */
export function createFrameReader({ headerBytes, payloadBytes }: FrameFormat, onFrame: (frame: Buffer) => void) {
  let rest = Buffer.alloc(0);
  return (piece: Buffer): void => {
    rest = Buffer.concat([rest, piece]);
    while (rest.length >= headerBytes) {
      const end = headerBytes + payloadBytes(rest);
      if (rest.length < end) return;
      const frame = rest.subarray(0, end);
      rest = rest.subarray(end);
      onFrame(frame);
    }
  };
}
