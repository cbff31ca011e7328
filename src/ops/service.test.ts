// Units are read as the real service managers read them; nothing is installed but into temporary homes.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import { loadConfig } from '../core/config.js';
import { lockHome } from '../sandbox/home.js';
import { installService, type ServiceDeps, serviceState, serviceToPause, uninstallService } from './service.js';
import { type Machine, serviceUnit } from './service-unit.js';

const repository = join(import.meta.dirname, '../..');
/** What a path may hold, and what both formats give a meaning to. */
const NASTY = 'it\'s 100% <a> & "b" $HOME \\x';
let userHome: string;
let commands: string[];
let said: string;
/** What a command answers; everything else succeeds. */
let answers: { [program: string]: { code: number; output: string } };

beforeEach(() => {
  userHome = mkdtempSync(join(tmpdir(), 'pinch-service-'));
  [commands, said, answers] = [[], '', {}];
});

function on(platform: NodeJS.Platform, { home = join(userHome, 'pinch'), uid = 501, env = {} } = {}): ServiceDeps {
  const machine: Machine = { platform, uid, home: userHome, env, node: process.execPath };
  return {
    config: { ...loadConfig({ PINCH_HOME: home }, repository), home },
    machine,
    clock: { sleep: async () => undefined },
    run(argv) {
      commands.push(argv.join(' '));
      return answers[argv.slice(0, 3).join(' ')] ?? answers[argv.slice(0, 2).join(' ')] ?? { code: 0, output: '' };
    },
    say: (line) => {
      said += `${line}\n`;
    },
  };
}

/** Reads a property list; throws at anything that is not one. */
function readPlist(xml: string): unknown {
  const body = xml.replace(/^<\?xml [^>]+\?>\s*<!DOCTYPE plist [^>]+>/, '').replace(/<!--(?:(?!--).)*-->/gs, '');
  const tokens = [...body.matchAll(/<(\/?)([a-z]+)(?: version="1\.0")?(\/?)>|([^<>]+)/g)];
  if (tokens.map(([token]) => token).join('') !== body) throw new Error('not XML');
  const plain = (text: string) =>
    text.replace(/&(?:(lt)|(gt)|(amp)|[^;]*);?/g, (entity, lt, gt, amp) => {
      if (lt || gt || amp) return lt ? '<' : gt ? '>' : '&';
      throw new Error(`unknown entity ${entity}`);
    });
  let at = 0;
  const skipSpace = () => {
    while (tokens[at]?.[4]?.trim() === '') at += 1;
  };
  const next = (wanted?: string): RegExpMatchArray => {
    const token = tokens[at];
    at += 1;
    if (!token || (wanted && token[0] !== wanted)) throw new Error(`${wanted} expected, not ${token?.[0]}`);
    return token;
  };
  const text = (end: string): string => {
    const content = tokens[at]?.[4] === undefined ? '' : next()[0];
    next(end);
    return plain(content);
  };
  const value = (): unknown => {
    skipSpace();
    const [token, , name] = next();
    if (token === '<true/>' || token === '<false/>') return token === '<true/>';
    if (token === '<string>') return text('</string>');
    if (token === '<integer>') return Number(text('</integer>'));
    const items: unknown[] = [];
    const entries: [string, unknown][] = [];
    for (skipSpace(); tokens[at]?.[0] !== `</${name}>`; skipSpace()) {
      if (token === '<array>') items.push(value());
      else if (token === '<dict>' && next('<key>')) entries.push([text('</key>'), value()]);
      else throw new Error(`unexpected ${token}`);
    }
    next();
    if (new Set(entries.map(([key]) => key)).size < entries.length) throw new Error('a key is there twice');
    return token === '<array>' ? items : Object.fromEntries(entries);
  };
  skipSpace();
  next('<plist version="1.0">');
  const result = value();
  skipSpace();
  next('</plist>');
  return result;
}

describe('the launchd agent', () => {
  test('says what is run, in which environment, and that it is kept running', () => {
    const home = join(userHome, NASTY);
    const { config, machine } = on('darwin', { home, env: { DOCKER_HOST: 'unix:///x.sock' } });
    const unit = serviceUnit(config, machine);
    expect(unit.file).toBe(join(userHome, 'Library/LaunchAgents/local.pinch.plist'));
    const log = join(home, 'data/logs/start.log');
    expect(readPlist(unit.text)).toEqual({
      Label: 'local.pinch',
      ProgramArguments: [expect.any(String), '--max-semi-space-size=1', join(repository, 'scripts/start.mjs')],
      WorkingDirectory: repository,
      EnvironmentVariables: {
        PINCH_SERVICE: '1',
        PINCH_HOME: home,
        PATH: expect.stringMatching(/^\/.+:\/opt\/homebrew\/bin:.*\/\.orbstack\/bin:.*:\/bin/),
        DOCKER_HOST: 'unix:///x.sock',
      },
      RunAtLoad: true,
      KeepAlive: true,
      ThrottleInterval: 30,
      ExitTimeOut: 20,
      ProcessType: 'Interactive',
      StandardOutPath: log,
      StandardErrorPath: log,
    });
    const node = /<string>(.+node)<\/string>/.exec(unit.text)?.[1] ?? '';
    expect(realpathSync(node)).toBe(realpathSync(process.execPath));
  });

  test('the reader of this test refuses what is no property list', () => {
    const { config, machine } = on('darwin');
    const { text } = serviceUnit(config, machine);
    for (const [from, to] of [
      ['</dict>', ''],
      ['<true/>', '<yes/>'],
      ['/pinch', '/pinch & more'],
      ['KeepAlive', 'RunAtLoad'],
    ] satisfies [string, string][])
      expect(() => readPlist(text.replace(from, to)), from).toThrow();
  });
});

describe('the systemd unit', () => {
  const analyze = spawnSync('systemd-analyze', ['--version']).status === 0;
  if (!analyze) console.log('skipped: `systemd-analyze verify` (there is no systemd-analyze on this machine)');

  test.skipIf(!analyze)('is one to systemd, whatever the paths are', () => {
    const home = join(userHome, NASTY);
    const { config, machine } = on('linux', { home, env: { DOCKER_HOST: 'unix:///x.sock' } });
    const checkout = join(home, 'checkout');
    cpSync(join(repository, 'launchd'), join(checkout, 'launchd'), { recursive: true });
    const { file, text } = serviceUnit({ ...config, repository: checkout }, machine);
    expect(text).toContain(' & \\"b\\" $$HOME \\\\x/checkout/scripts/start.mjs"\n');
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--user', '--man=no', file], {
      encoding: 'utf8',
      env: { ...process.env, XDG_RUNTIME_DIR: userHome },
    });
    expect(stderr).not.toContain(file);
    expect(stderr).not.toMatch(/pinch\.service/);
    expect(status).toBe(0);
  });

  test('escapes what systemd would read as its own', () => {
    const { config, machine } = on('linux', { home: join(userHome, NASTY), env: { XDG_CONFIG_HOME: '/cfg' } });
    const unit = serviceUnit({ ...config, repository }, machine);
    expect(unit.file).toBe('/cfg/systemd/user/pinch.service');
    expect(unit.text).toContain('100%% <a> & \\"b\\" $HOME \\\\x"\n');
    expect(unit.text).toContain(
      `StandardError=append:${userHome}/it's 100%% <a> & "b" $HOME \\x/data/logs/start.log\n`,
    );
    for (const line of ['Restart=always', 'RestartSec=30', 'StartLimitIntervalSec=0', 'NoNewPrivileges=yes'])
      expect(unit.text.split('\n')).toContain(line);
    // Each would hide Docker's socket, the home folder or V8's code.
    expect(unit.text).not.toMatch(/^(Private|Protect|MemoryDeny|DynamicUser|RootDirectory)/m);
  });
});

function wanted(platform: NodeJS.Platform, file: string): string[] {
  const [domain, job] = ['gui/501', 'gui/501/local.pinch'];
  const show = 'systemctl --user show pinch.service --property=ActiveState,SubState,MainPID,NRestarts,ExecMainStatus';
  const launchd = [`bootout ${job}`, `enable ${job}`, `bootstrap ${domain} ${file}`, `print ${job}`, `print ${job}`];
  if (platform === 'darwin') return [...launchd, `bootout ${job}`].map((command) => `launchctl ${command}`);
  const start = ['daemon-reload', 'enable pinch.service', 'restart pinch.service'];
  return [
    'loginctl enable-linger',
    ...start.map((command) => `systemctl --user ${command}`),
    show,
    show,
    'systemctl --user disable --now pinch.service',
    'systemctl --user daemon-reload',
  ];
}

describe.each<[NodeJS.Platform, string]>([
  ['darwin', 'Library/LaunchAgents/local.pinch.plist'],
  ['linux', '.config/systemd/user/pinch.service'],
])('on %s', (platform, file) => {
  const installed = () => join(userHome, file);
  const running = { code: 0, output: 'state = running\n\tpid = 42\nActiveState=active\nMainPID=42\n' };
  const nowRunning = () => Object.assign(answers, { 'launchctl print': running, 'systemctl --user show': running });

  test('install, again, and remove', async () => {
    const deps = on(platform);
    process.umask(0o077);
    await installService(deps);
    process.umask(0o022);
    expect(statSync(installed()).mode & 0o777).toBe(0o644);
    expect(statSync(join(deps.config.dataDir, 'logs')).mode & 0o777).toBe(0o700);
    nowRunning();
    const before = commands.length;
    await installService(deps);
    expect(commands.slice(before)).toHaveLength(1);
    expect(said).toContain('is installed and runs');
    expect(serviceState(deps)).toMatchObject({
      installed: true,
      running: true,
      detail: expect.stringContaining('pid 42'),
    });
    await uninstallService(deps);
    expect(existsSync(installed())).toBe(false);
    expect(serviceState(deps)).toMatchObject({ installed: false, running: false });
    await uninstallService(deps);
    expect(said).toContain('No service is installed');
    expect(commands).toEqual(wanted(platform, installed()));
  });

  test('a changed unit is written and started again', async () => {
    const deps = on(platform);
    await installService(deps);
    nowRunning();
    const before = commands.length;
    await installService(on(platform, { env: { DOCKER_HOST: 'unix:///other.sock' } }));
    expect(readFileSync(installed(), 'utf8')).toContain('/other.sock');
    expect(commands.slice(before)).toHaveLength(platform === 'darwin' ? 4 : 5);
  });

  test('a second home has a unit of its own, and neither removes the other', async () => {
    const [first, second] = [on(platform), on(platform, { home: join(userHome, 'second') })];
    await installService(first);
    await installService(second);
    const state = serviceState(second);
    expect(state.label).toMatch(/^(local\.)?pinch-[0-9a-f]{8}$/);
    await uninstallService(first);
    expect(serviceState(second)).toEqual(state);
    expect(serviceState(on(platform, { home: join(userHome, 'third') })).installed).toBe(false);
    await uninstallService(second);
    expect(existsSync(state.file)).toBe(false);
  });

  test('a dry run writes and runs nothing, and shows both', async () => {
    await installService(on(platform), { dryRun: true });
    await uninstallService(on(platform), { dryRun: true });
    expect(commands).toEqual([]);
    expect(existsSync(installed())).toBe(false);
    expect(said).toContain(`# ${installed()}`);
    expect(said).toContain(platform === 'darwin' ? 'launchctl bootstrap gui/501' : 'systemctl --user enable');
    expect(said).toContain(`rm ${installed()}`);
  });

  test('as root it must be said', async () => {
    await expect(installService(on(platform, { uid: 0 }))).rejects.toThrow('every right');
    expect(commands).toEqual([]);
    await installService(on(platform, { uid: 0 }), { dryRun: true });
    expect(said).toContain('# This is root');
    said = '';
    await installService(on(platform, { uid: 0 }), { root: true });
    expect(said).toContain('# This is root');
    expect(existsSync(installed())).toBe(true);
  });

  test('no value of the environment is written or shown; what only this terminal knows is named', async () => {
    const env = { ANTHROPIC_API_KEY: 'canary-key', TELEGRAM_BOT_TOKEN: 'canary-token', HTTPS_PROXY: 'canary-proxy' };
    await installService(on(platform, { env }));
    expect(said + readFileSync(installed(), 'utf8') + commands.join()).not.toContain('canary');
    expect(said).toMatch(/unknown to the service.*: ANTHROPIC_API_KEY, TELEGRAM_BOT_TOKEN\n/);
  });

  test('while Pinch runs in a terminal, nothing is installed', async () => {
    const deps = on(platform);
    mkdirSync(deps.config.dataDir, { recursive: true });
    const lock = lockHome(deps.config);
    await expect(installService(deps)).rejects.toThrow('another Pinch is running');
    lock.release();
    expect(existsSync(installed())).toBe(false);
  });
});

test('launchd is asked again while it still ends the previous one, and not for ever', async () => {
  const deps = on('darwin');
  const clock = createFakeClock();
  answers = { 'launchctl bootstrap': { code: 5, output: 'Bootstrap failed: 5: Input/output error' } };
  let sleeps = 0;
  const sleep = async () => {
    sleeps += 1;
    if (sleeps === 3) answers = {};
    await clock.advance(0);
  };
  await installService({ ...deps, clock: { sleep } });
  expect(sleeps).toBe(3);
  answers = { 'launchctl bootstrap': { code: 5, output: 'Bootstrap failed: 5: Input/output error' } };
  await expect(installService(deps)).rejects.toThrow(/launchctl bootstrap .*failed: Bootstrap failed: 5/);
});

test('without lingering it is installed, and somebody is told', async () => {
  answers = { 'loginctl enable-linger': { code: 1, output: 'Access denied' } };
  await installService(on('linux'));
  expect(said).toContain('Note: `loginctl enable-linger` failed: Access denied');
});

test('one that is installed and does not run says why', async () => {
  await installService(on('darwin'));
  answers = { 'launchctl print': { code: 0, output: '\tstate = spawn scheduled\n\truns = 7\n\tlast exit code = 1\n' } };
  expect(serviceState(on('darwin'))).toMatchObject({
    running: false,
    detail: 'spawn scheduled, restarts 7, last exit 1',
  });
  answers = { 'launchctl print': { code: 113, output: 'Could not find service "local.pinch"\n' } };
  expect(serviceState(on('darwin')).detail).toBe('not loaded: Could not find service "local.pinch"');
});

test('an update stops and starts what is to run, and leaves alone what somebody stopped', async () => {
  expect(serviceToPause(on('linux'))).toBeUndefined();
  await installService(on('linux'));
  await installService(on('darwin'));
  answers = { 'systemctl --user show': { code: 0, output: 'ActiveState=activating\nSubState=auto-restart\n' } };
  expect(serviceToPause(on('linux'))?.resume).toEqual([
    { argv: ['systemctl', '--user', 'start', 'pinch.service'], retry: false, optional: false },
  ]);
  const { pause, resume } = serviceToPause(on('darwin')) ?? {};
  expect(pause?.[0]).toMatchObject({ argv: ['launchctl', 'bootout', 'gui/501/local.pinch'], optional: true });
  expect(resume?.[0]).toMatchObject({ argv: ['launchctl', 'bootstrap', 'gui/501', expect.any(String)], retry: true });
  answers = {
    'systemctl --user show': { code: 0, output: 'ActiveState=inactive\n' },
    'launchctl print': { code: 113, output: 'Could not find service' },
  };
  expect([serviceToPause(on('linux')), serviceToPause(on('darwin'))]).toEqual([undefined, undefined]);
});

test('elsewhere, and with a path no unit can hold, it says so', async () => {
  expect(() => serviceState(on('win32'))).toThrow('services are for macOS and Linux');
  await expect(installService(on('linux', { home: join(userHome, 'a\nb') }))).rejects.toThrow('cannot have the path');
});
