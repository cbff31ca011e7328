// What can be made to go wrong, and when. Knows nothing about the network: others ask it what to do.

export interface AckFault {
  /** Refused with this code: nobody gets the message. '463' is a restricted account, '479' a stanza the server dislikes. */
  error?: string;
  /** The answer comes so much later. */
  delayMs?: number;
  /** Delivered, and no answer ever. */
  never?: boolean;
  /** The connection is cut instead of an answer: 'before' anybody got the message, or 'after' they did. */
  dropSocket?: 'before' | 'after';
}

/** The knobs a test turns; `startFakeWhatsApp` adds those that need the network. */
export interface FaultSwitches {
  /** How the next message from the client (or the next `times`) is answered. Wait for the earlier ones first. */
  nextAck(fault: AckFault, times?: number): void;
  /** The next logins are refused: 401 logged out, 403 banned, 405 too old a client, 503 … */
  failureAtLogin(reason: number, times?: number): void;
  /** The next connections are cut when they say hello. */
  dropAtHello(times?: number): void;
  /** The next WebSocket upgrades are answered with this HTTP status. */
  refuseUpgrade(status: number, times?: number): void;
  /** While true, nobody's hello is answered. */
  ignoreHello(isOn: boolean): void;
  /** While true, the server reads and answers nothing: no login, no keep-alive, no ack. What people write still comes. */
  silence(isOn: boolean): void;
  /** While true, nobody is told that the messages that waited for a login were all. */
  endlessBacklog(isOn: boolean): void;
  /** Logins wait for an answer until the returned function is called. */
  holdLogin(): () => void;
}

/** What the server asks. */
export interface FaultPlan {
  takeAck(): AckFault | undefined;
  takeLoginFailure(): number | undefined;
  takeDropAtHello(): boolean;
  takeUpgradeRefusal(): number | undefined;
  answersHello(): boolean;
  isSilent(): boolean;
  endsBacklog(): boolean;
  /** Resolves when logins may go on. */
  loginAllowed(): Promise<void>;
}

export function createFaults(): { switches: FaultSwitches; plan: FaultPlan } {
  const acks: AckFault[] = [];
  const failures: number[] = [];
  const refusals: number[] = [];
  const now = { hellosToDrop: 0, ignoresHello: false, silent: false, endless: false, held: Promise.resolve() };
  const queue = <T>(list: T[], item: T, times: number) => {
    for (let i = 0; i < times; i++) list.push(item);
  };
  return {
    switches: {
      nextAck: (fault, times = 1) => queue(acks, fault, times),
      failureAtLogin: (reason, times = 1) => queue(failures, reason, times),
      refuseUpgrade: (status, times = 1) => queue(refusals, status, times),
      dropAtHello(times = 1) {
        now.hellosToDrop += times;
      },
      ignoreHello(isOn) {
        now.ignoresHello = isOn;
      },
      silence(isOn) {
        now.silent = isOn;
      },
      endlessBacklog(isOn) {
        now.endless = isOn;
      },
      holdLogin() {
        let release: () => void = () => undefined;
        now.held = new Promise((resolve) => {
          release = resolve;
        });
        return () => release();
      },
    },
    plan: {
      takeAck: () => acks.shift(),
      takeLoginFailure: () => failures.shift(),
      takeUpgradeRefusal: () => refusals.shift(),
      takeDropAtHello: () => now.hellosToDrop > 0 && now.hellosToDrop-- > 0,
      answersHello: () => !now.ignoresHello,
      isSilent: () => now.silent,
      endsBacklog: () => !now.endless,
      loginAllowed: () => now.held,
    },
  };
}
