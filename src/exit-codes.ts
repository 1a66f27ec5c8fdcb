/** Exit codes, as sysexits(3) has them where it has one. The unit file tells systemd not to restart after 78. */
export const exitCode = {
  ok: 0,
  /** `check` found something wrong, or `once` could not look. */
  failed: 1,
  /** Unknown command or flag. */
  usage: 64,
  /** A bug of ours. */
  software: 70,
  /** A configuration that can never work. */
  config: 78,
} as const;
