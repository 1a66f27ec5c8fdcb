// Goal: what is sent arrives as one datagram, at a path and at an abstract name; a manager that doesn't read, or is
// gone, costs no time and throws nothing.
// Method: a real unix datagram socket at the other end.
import { afterAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { startNotifyReceiver } from "../../dev/services/notify-socket.ts";
import { openScope } from "../../dev/services/scope.ts";
import { openNotifySocket, socketAddress } from "../../src/adapters/systemd-notify.ts";

const scope = openScope("notify");
afterAll(() => scope.stop());

let count = 0;
const freshPath = () => join(scope.folder, `${++count}.sock`);
const freshName = () => `@observer-${randomBytes(6).toString("hex")}`;

describe("openNotifySocket()", () => {
  test.each([
    ["a path", freshPath],
    ["an abstract name", freshName],
  ])("one datagram per call, to %s", (_, fresh) => {
    const receiver = startNotifyReceiver(fresh());
    const socket = openNotifySocket(receiver.address);
    try {
      expect(socket.send(["READY=1", "STATUS=läuft"])).toBe(true);
      expect(socket.send(["WATCHDOG=1"])).toBe(true);
      expect(receiver.heard().map(({ assignments }) => assignments)).toEqual([
        ["READY=1", "STATUS=läuft"],
        ["WATCHDOG=1"],
      ]);
    } finally {
      socket.close();
      receiver.stop();
    }
  });

  test("a queue that is full is said so at once; it is tried again when there is room", () => {
    const receiver = startNotifyReceiver(freshPath(), { deaf: true });
    const socket = openNotifySocket(receiver.address);
    try {
      let sent = 0;
      while (socket.send([`STATUS=${sent}`])) sent += 1;
      expect(sent).toBeGreaterThan(0);
      expect(socket.send(["STOPPING=1"])).toBe(false);
      expect(receiver.heard()).toHaveLength(sent);
      expect(socket.send(["STOPPING=1"])).toBe(true);
    } finally {
      socket.close();
      receiver.stop();
    }
  });

  test("nobody listens: false, and heard as soon as somebody does", () => {
    const address = freshPath();
    const socket = openNotifySocket(address);
    expect(socket.send(["READY=1"])).toBe(false);
    const receiver = startNotifyReceiver(address);
    expect(socket.send(["READY=1"])).toBe(true);
    socket.close();
    receiver.stop();
  });

  test.each(["vsock:2:1234", "relative/path", "@", "/", `/${"x".repeat(107)}`])(
    "%s can't be told: an error that says so",
    (address) => {
      if (address === "/") expect(openNotifySocket(address).send(["READY=1"])).toBe(false);
      else expect(() => openNotifySocket(address)).toThrow("Cannot tell the service manager");
    },
  );

  test("the address is as long as it is used: longest path, longest name", () => {
    expect(socketAddress(`/${"x".repeat(106)}`)).toHaveLength(110);
    expect(socketAddress(`@${"x".repeat(107)}`)).toHaveLength(110);
    expect([...socketAddress("@a")]).toEqual([1, 0, 0, 97]);
    expect([...socketAddress("/a")]).toEqual([1, 0, 47, 97, 0]);
  });
});
