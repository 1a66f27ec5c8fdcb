/**
 * Every bound of the domain in one place. What an operator may change is in Config; what is here follows from
 * other numbers here, and the assertions below hold them to one another.
 */
export const limits = {
  /** How long a lease lives without renewal, by the database's clock. A dead leader is replaced after this. */
  leaseMs: 6_000,
  /** How often a leader renews between its writes. */
  leaseRenewMs: 2_000,
  /** How often an instance that stands by asks whether the lease is free. */
  standbyPollMs: 1_000,
  /** Once one source has answered, how long the others may delay what it saw. Their answers come with a later cycle. */
  sourcePatienceMs: 750,
  /** First pause after a source failed; doubled up to the idle interval. */
  sourceBackoffMs: 500,
  /** The part of that pause, at most, that chance takes off. */
  sourceJitter: 0.25,
  /** An Engine's listing shows what its event said no later than this, on any disk that is fit for it. */
  eventSettleMs: 500,
  /** Longest that a glance waits for the Engine. */
  glanceMs: 1_000,
  /** Most that one glance is for; more are looked at by listing everything. */
  glanceWorkspaces: 16,
  glanceContainers: 32,
  /** So many glances may follow one another at once, and so many a second for ever. */
  glancesAtOnce: 50,
  glancesPerSecond: 25,
  /** Only a bound for a sleep that is always cut short. */
  glanceIdleMs: 3_600_000,
  /** Workspaces whose pair is looked at again one by one; beyond it the second look is a whole listing. */
  secondLookTargeted: 50,
  /** Most second looks in one cycle. What still moves then is held until the next. */
  secondLooks: 3,
  /** Containers whose death is looked into in one cycle, how many at a time, and how long that may take in all. */
  deathsPerCycle: 64,
  deathsInParallel: 8,
  deathsMs: 1_000,
  /** How long, and how many, deaths are remembered after the container is gone. */
  deathsKeptMs: 3_600_000,
  deathsKept: 1_000,
  /** Sudden emptiness must also last this long before it is believed, however often it was seen. */
  guardConfirmMs: 10_000,
  /** Longest a whole archive listing may take, all pages together. A page has the list time-out. */
  archiveListingMs: 120_000,
  /** SIGTERM to exit. */
  shutdownMs: 5_000,
  /** Write time-outs that the preparation at the start may take: it is several transactions, and a link may be slow. */
  prepareStatements: 6,
  /** Longest time to hand the lease over at the end. */
  releaseMs: 1_000,
  /** How often an instance that stands by writes its row in observer_status. */
  standbyReportMs: 10_000,
  /** A wake-up that takes longer is owed to the next cycle: a frozen channel must not slow the table. */
  wakeTimeoutMs: 1_000,
  /**
   * First pause after the database failed, doubled up to the most, or to the idle interval where that is less. The part
   * that chance takes off is large: all hosts of a fleet lose one database at once.
   */
  databaseBackoffMs: 500,
  databaseBackoffMostMs: 4_000,
  databaseJitter: 0.5,
  /** Orphans named in status and logs; the rest is counted. */
  orphansNamed: 100,
  /** Rows that a look in a fleet could not write, and that it names; with more it proves nothing to the others. */
  leftOutNamed: 200,
  /** Workspaces named in a report; the rest is counted. */
  changesNamed: 1_000,
  /**
   * How often all rows are read again, however well the store tells what changed; and at most for this share of the
   * time (one part in so many), since 100,000 of them take seconds.
   */
  completeEveryMs: 60_000,
  completeShare: 100,
  /** The same of a fleet's host: to find the few rows that name it takes a pass over the rows of all hosts. */
  ownCompleteEveryMs: 600_000,
  /** The part of it, at most, that chance takes off: hosts that started together must not go on passing together. */
  ownCompleteJitter: 0.5,
  /** Rows in the first writing statement of a look, and in each further one. */
  rowsInFirstStatement: 250,
  rowsPerStatement: 1_000,
} as const;

if (limits.leaseRenewMs * 2 >= limits.leaseMs) throw new Error("limits: two renewals must fit into a lease");
if (limits.standbyPollMs + limits.leaseMs >= 10_000)
  throw new Error("limits: a take-over must fit into ten seconds");
