/** What the program is told from outside: parsed, checked against one another and deeply frozen. */

export interface Config {
  /** Before the workspace's id in every container, volume and archive name. Docker's name characters; with Kubernetes those of its names. */
  readonly prefix: string;
  /** Who this is, in the lease, `observer_status` and the log. Unique among running instances. */
  readonly instance: string;
  readonly database: DatabaseConfig;
  /** Null: hints travel through PostgreSQL's LISTEN and NOTIFY. */
  readonly redis: RedisConfig | null;
  /** At least one; several only in a fleet. */
  readonly engines: readonly HostEngine[];
  /** Null: there is no archive source, so archives are not observed. */
  readonly archives: ArchivesConfig | null;
  readonly cadence: CadenceConfig;
  /** Oldest allowed stamp of a row that did not change. Never below the idle interval. */
  readonly maxAgeMs: number;
  /** Deadline of one listing call; of one page where a listing has pages. */
  readonly listTimeoutMs: number;
  /** Deadline of one statement. Shorter than a lease lives. */
  readonly writeTimeoutMs: number;
  readonly hintChannel: string;
  readonly wakeChannel: string;
  readonly guard: GuardConfig;
  /** Null: this observer alone writes the table. */
  readonly fleet: FleetConfig | null;
  /** How long a row of `observer_transitions` is kept. */
  readonly transitionsMaxAgeMs: number;
  readonly status: StatusConfig;
  /** Null: nothing is sent to a collector. */
  readonly telemetry: TelemetryConfig | null;
  readonly log: LogConfig;
  /** Null: no service manager wants to hear of this process. */
  readonly supervisor: SupervisorConfig | null;
  /** What was accepted but can hardly be meant: one sentence each, without secrets, for the log. */
  readonly warnings: readonly string[];
}

export interface CadenceConfig {
  readonly idleIntervalMs: number;
  readonly activeIntervalMs: number;
  readonly minIntervalMs: number;
  readonly activeForMs: number;
}

export interface GuardConfig {
  readonly enabled: boolean;
  /** A loss of fewer workspaces than this is never suspect. */
  readonly min: number;
  /** A loss of more than this share of what the table holds as present is suspect; above 0, below 1. */
  readonly ratio: number;
  /** Looks in a row that must agree before a suspect loss is believed. */
  readonly confirm: number;
}

export interface HostEngine {
  /** Whose Engine it is, unique. Null, where it is the only one: this observer alone writes the table. */
  readonly host: string | null;
  readonly endpoint: EngineConfig;
}

/** Of a process whose Engines have hosts. */
export interface FleetConfig {
  /** A host without a sign for so long is lost. */
  readonly lostAfterMs: number;
}

export interface StatusConfig {
  /** Null: no endpoint. `hostname` has no brackets; port 0 lets the system choose. */
  readonly listen: ListenAddress | null;
  /** Bearer token. Never null where the endpoint can be reached from outside the machine. */
  readonly token: string | null;
}

export interface TelemetryConfig {
  /** Without a slash at its end. */
  readonly endpoint: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly metricIntervalMs: number;
  /** Attributes, `service.name` always among them. */
  readonly resource: Readonly<Record<string, string>>;
}

export interface ListenAddress {
  readonly hostname: string;
  readonly port: number;
}

export interface SupervisorConfig {
  /** A path, or an abstract name that starts with `@`. */
  readonly socket: string;
  /** Without a beat for so long it restarts the process. Null: it doesn't watch. */
  readonly watchdogMs: number | null;
}

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFormat = "json" | "pretty" | "auto";

export interface LogConfig {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** `device:inode` of the journal's end of standard output. Null: not started by systemd. */
  readonly journalStream: string | null;
}

export type DatabaseTls = "disable" | "prefer" | "require" | "verify-ca" | "verify-full";

export interface DatabaseHost {
  /** A name or address without brackets, or the folder of a unix socket, which starts with `/`. */
  readonly host: string;
  readonly port: number;
}

export interface DatabaseConfig {
  /** To be tried in this order; at least one. */
  readonly hosts: readonly DatabaseHost[];
  readonly user: string;
  readonly password: string | null;
  readonly database: string;
  /** As libpq's sslmode. A unix socket never uses TLS, whatever stands here. */
  readonly tls: DatabaseTls;
  /** PEM text. Null: the authorities that the system trusts. */
  readonly tlsRootCertificate: string | null;
  readonly searchPath: string | null;
  readonly applicationName: string;
}

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export interface RedisSingleConfig {
  readonly kind: "single";
  /** Empty where `path` is set. */
  readonly host: string;
  /** 0 where `path` is set. */
  readonly port: number;
  /** A unix socket. */
  readonly path: string | null;
  readonly username: string | null;
  readonly password: string | null;
  readonly db: number;
  readonly tls: boolean;
}

export interface RedisSentinelConfig {
  readonly kind: "sentinel";
  readonly sentinels: readonly HostPort[];
  /** The name under which the sentinels know the master. */
  readonly name: string;
  readonly username: string | null;
  readonly password: string | null;
  readonly sentinelPassword: string | null;
  readonly db: number;
  readonly tls: boolean;
}

export type RedisConfig = RedisSingleConfig | RedisSentinelConfig;

export interface EngineTls {
  /** PEM texts. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** False: the Engine's certificate is not checked. */
  readonly verify: boolean;
}

export interface EngineUnixConfig {
  readonly kind: "unix";
  readonly socketPath: string;
}

export interface EngineTcpConfig {
  readonly kind: "tcp";
  /** `http://host:port` or `https://host:port`, without a path. */
  readonly url: string;
  /** Null with `https:`: the authorities that the system trusts, and no client certificate. */
  readonly tls: EngineTls | null;
}

export interface KubernetesConfig {
  readonly kind: "kubernetes";
  /** `https://host:port`, perhaps with a path, without a slash at its end. */
  readonly server: string;
  readonly namespace: string;
  /** A label selector for pods and claims; null: all of the namespace. */
  readonly selector: string | null;
  /** The label whose value names the workspace; null: the name does. */
  readonly workspaceLabel: string | null;
  readonly token: string | null;
  /** Read for each call, so that a rotated token is used. */
  readonly tokenFile: string | null;
  readonly tls: {
    /** PEM texts. Null: the authorities that the system trusts; no client certificate. */
    readonly ca: string | null;
    readonly cert: string | null;
    readonly key: string | null;
    readonly verify: boolean;
    /** The name that the certificate must have, where it isn't the server's. */
    readonly serverName: string | null;
  };
}

export type EngineConfig = EngineUnixConfig | EngineTcpConfig | KubernetesConfig;

export interface ArchivesCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface ArchivesConfig {
  readonly bucket: string;
  /** What an archive's key ends with; starts with `/`. */
  readonly suffix: string;
  /** An archive counts only once `key + commitSuffix` exists. Null: at once. */
  readonly commitSuffix: string | null;
  readonly forcePathStyle: boolean;
  readonly region: string;
  /** Null: AWS. */
  readonly endpoint: string | null;
  /** Null: the SDK's default chain. */
  readonly credentials: ArchivesCredentials | null;
}
