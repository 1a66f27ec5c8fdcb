// A service manager's ear: a unix datagram socket that hears what sd_notify(3) sends. The runtime has no such sockets,
// so the C library is called.
import { dlopen, FFIType } from "bun:ffi";
import { socketAddress } from "../../src/adapters/systemd-notify.ts";

export interface Notification {
  /** This machine's monotonic clock, in milliseconds. */
  readonly atMs: number;
  /** `READY=1`, `STATUS=…`, in the order of the datagram. */
  readonly assignments: readonly string[];
}

export interface NotifyReceiver {
  /** What NOTIFY_SOCKET has to be. */
  readonly address: string;
  /** All that was heard so far. */
  heard(): readonly Notification[];
  stop(): void;
}

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;
const MOST_BYTES = 65_536;
const POLL_MS = 5;

const SYMBOLS = {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  bind: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  recv: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64_fast },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
} as const;

/** @param address a path in a folder of its own, or an abstract name with `@`; a deaf one only fills its queue */
export function startNotifyReceiver(address: string, { deaf = false } = {}): NotifyReceiver {
  const { symbols, close } = dlopen("libc.so.6", SYMBOLS);
  const name = socketAddress(address);
  const fd = symbols.socket(AF_UNIX, SOCK_DGRAM, 0);
  if (fd < 0 || symbols.bind(fd, name, name.byteLength) !== 0) throw new Error(`Cannot listen on ${address}`);
  const heard: Notification[] = [];
  const buffer = new Uint8Array(MOST_BYTES);
  const drain = () => {
    for (;;) {
      const length = Number(symbols.recv(fd, buffer, buffer.byteLength, MSG_DONTWAIT));
      if (length <= 0) return;
      const text = new TextDecoder().decode(buffer.subarray(0, length));
      heard.push({ atMs: performance.now(), assignments: text.split("\n") });
    }
  };
  const timer = deaf ? undefined : setInterval(drain, POLL_MS);
  return {
    address,
    heard() {
      drain();
      return heard;
    },
    stop() {
      clearInterval(timer);
      symbols.close(fd);
      close();
    },
  };
}
