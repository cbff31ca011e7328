// The sandbox contract: something that can start an isolated agent runner for a group and hand over its connections.
// `docker.ts` and `process.ts` keep it. The pool starts runners through it, the supervisor asks whether the engine is there and reaps.
import type { Duplex } from 'node:stream';

export interface Mount {
  /** Absolute path on the host. */
  source: string;
  /** Absolute path inside the container. */
  target: string;
  readOnly: boolean;
  /** Only of a further folder of the machine: which one was looked at (mounts/check.ts). Another one must not be there once the runner works. */
  identity?: string;
}

/** Another host as a container finds it: what connects to the address, its loopback's, is led through the gateway. */
export interface Tunnel {
  /** Stands in /etc/hosts. */
  host: string;
  address: string;
  ports: number[];
}

export interface SandboxSpec {
  /** Group folder, or the name of a server; becomes part of the container's name and a label. */
  folder: string;
  mounts: Mount[];
  tunnels?: Tunnel[];
  /** Only of a container that runs a server's program and no agent. */
  box?: {
    memoryBytes: number;
    /** Gets what is written to stderr, which is in the log as well. */
    onPrinted(bytes: Buffer): void;
  };
}

export interface SandboxExit {
  /** One sentence for logs and the owner. */
  reason: string;
  exitCode: number | undefined;
  outOfMemory: boolean;
}

export interface SandboxInstance {
  /** Container id or process id, for events and logs. */
  id: string;
  /** Resolves once, when the runner or its link is gone. Never rejects. */
  closed: Promise<SandboxExit>;
  /** Resolves once nothing is left of it, after `closed`; a sick engine may take its time. Never rejects. */
  gone: Promise<void>;
  /**
   * Ends the runner: closes its stdin, waits up to `graceMs`, then kills. Resolves when it is gone, or does not go within a few seconds.
   * Harmless twice.
   */
  stop(graceMs: number): Promise<void>;
}

export interface Sandbox {
  /**
   * Starts the runner; resolves once the link is up (hello seen on both sides).
   * `onConnection` gets one plain duplex per TCP connection made inside to 127.0.0.1:8080: feed it to an HTTP/1.1 server.
   * Throws PinchError: `sandbox_unavailable` (the engine does not answer) or `container_start_failed`, this one also soon after `cancelled`
   * aborted; nothing is left then.
   */
  start(
    spec: SandboxSpec,
    onConnection: (connection: Duplex) => void,
    cancelled?: AbortSignal,
  ): Promise<SandboxInstance>;
  /** Throws PinchError `sandbox_unavailable` with a hint when the engine does not answer within a few seconds. */
  ping(): Promise<void>;
  /**
   * Removes every container left by an earlier process on this home; returns how many. One that will not go is none of them, and holds up
   * nobody. Throws PinchError `sandbox_unavailable`.
   */
  reap(): Promise<number>;
  /** Bytes of memory that it takes now; undefined when the engine does not say. Never rejects. */
  memoryOf?(id: string): Promise<number | undefined>;
}
