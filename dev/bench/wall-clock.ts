// The machine's clock to a few microseconds: the one of the Engine's events and the database's commits as well.

/** Milliseconds since 1970 with a fraction. Calibrated anew each time, for the system's clock is slewed. */
export function calibratedClock(): () => number {
  let before = Date.now();
  let offsetMs = 0;
  // At the tick of the millisecond the two clocks are known to the same instant.
  for (let ticks = 0; ticks < 3; ticks++) {
    while (Date.now() === before);
    offsetMs = Date.now() - performance.now();
    before = Date.now();
  }
  return () => performance.now() + offsetMs;
}
