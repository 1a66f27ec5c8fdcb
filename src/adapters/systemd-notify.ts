/**
 * sd_notify(3): tells the service manager how this process is, in datagrams to `$NOTIFY_SOCKET`.
 *
 * The runtime has no unix datagrams, so the C library's `socket` and `sendto` are called. Nobody loads this file
 * without a service manager to tell.
 */
import { dlopen, FFIType } from "bun:ffi";

export interface NotifySocket {
  /**
   * Sends assignments such as `READY=1`, one datagram, without ever waiting (some 10 µs).
   *
   * @returns false when it was not taken: the manager's queue is full, or nobody listens. Who cares tries again.
   */
  send(assignments: readonly string[]): boolean;
  close(): void;
}

// The numbers of Linux, the same on x86-64 and arm64.
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** `sun_path` of `struct sockaddr_un`; a path needs its closing NUL in it, an abstract name doesn't. */
const MOST_PATH_BYTES = 108;

/** glibc by its name; musl answers to the other. */
const LIBRARIES = ["libc.so.6", "libc.so"];

const SYMBOLS = {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  sendto: {
    args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i64_fast,
  },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
} as const;

/**
 * @param address a path, or an abstract name with `@` for its leading NUL
 * @throws {Error} when this process can't send datagrams, or never to that address
 */
export function openNotifySocket(address: string): NotifySocket {
  const name = socketAddress(address);
  const { symbols, close } = loadLibrary();
  const fd = symbols.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    close();
    throw new Error("Cannot tell the service manager: the system gives no unix datagram socket");
  }
  return {
    send(assignments) {
      const bytes = new TextEncoder().encode(assignments.join("\n"));
      const sent = symbols.sendto(
        fd,
        bytes,
        bytes.byteLength,
        MSG_DONTWAIT | MSG_NOSIGNAL,
        name,
        name.byteLength,
      );
      return Number(sent) === bytes.byteLength;
    },
    close() {
      symbols.close(fd);
      close();
    },
  };
}

/** `struct sockaddr_un`, as long as it is used. Throws for what systemd never gives, or not to a process like this. */
export function socketAddress(address: string): Uint8Array {
  const isAbstract = address.startsWith("@");
  if (!isAbstract && !address.startsWith("/"))
    throw new Error(`Cannot tell the service manager: NOTIFY_SOCKET is no path and no abstract name`);
  const path = new TextEncoder().encode(isAbstract ? `\0${address.slice(1)}` : `${address}\0`);
  if (path.byteLength > MOST_PATH_BYTES || path.byteLength < 2)
    throw new Error(`Cannot tell the service manager: NOTIFY_SOCKET has no length that a socket can have`);
  const bytes = new Uint8Array(2 + path.byteLength);
  // Both architectures are little-endian.
  bytes[0] = AF_UNIX;
  bytes.set(path, 2);
  return bytes;
}

/** Fails where memory can't be made executable (MemoryDenyWriteExecute=yes), and on a system without a C library. */
function loadLibrary() {
  let cause: unknown;
  for (const library of LIBRARIES) {
    try {
      return dlopen(library, SYMBOLS);
    } catch (error) {
      cause = error;
    }
  }
  throw new Error("Cannot tell the service manager: the C library can't be called", { cause });
}
