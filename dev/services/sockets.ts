import { connect } from "node:net";
import { connect as connectTls } from "node:tls";

export type Address = { readonly host: string; readonly port: number } | { readonly path: string };

/** Does somebody accept connections there? */
export function canConnect(address: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("close", () => socket.destroy());
    socket.once("connect", () => socket.destroy());
  });
}

/** Sends a text and returns the first bytes of the answer; with `ca` over TLS. Rejects after a second. */
export function askOnce(address: Address, text: string, ca?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket =
      ca !== undefined && "host" in address
        ? connectTls({ host: address.host, port: address.port, ca })
        : connect(address);
    const end = (settle: () => void) => {
      clearTimeout(timer);
      socket.destroy();
      settle();
    };
    const timer = setTimeout(() => end(() => reject(new Error("no answer within a second"))), 1_000);
    socket.once("error", (error) => end(() => reject(error)));
    socket.once("close", () => end(() => reject(new Error("closed without an answer"))));
    socket.once("data", (data: Buffer) => end(() => resolve(data.toString())));
    socket.write(text);
  });
}
