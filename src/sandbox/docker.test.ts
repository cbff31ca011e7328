// The walls, the traffic and the end of real containers of the real agent image.
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agentImage, createWorld, programMount, startScene, type World } from '../../test/sandbox/world.js';

let world: World;
beforeAll(async () => {
  process.env.PINCH_TEST_CANARY = 'canary-5f1d';
  world = await createWorld();
});
afterAll(() => world.close());

const FOREVER = 'await new Promise(() => setInterval(() => undefined, 1000));';

describe('from inside', () => {
  test('every wall stands', async () => {
    const { instance, result } = await world.run(`
      const fs = require('node:fs'), os = require('node:os'), { execFileSync } = require('node:child_process');
      const attempt = (what) => { try { return what() ?? 'done'; } catch (error) { return error.code; } };
      fs.writeFileSync('/tmp/script', '#!/bin/sh\\necho ran', { mode: 0o755 });
      return {
        uid: process.getuid(), gid: process.getgid(), groups: process.getgroups(),
        status: fs.readFileSync('/proc/self/status', 'utf8'),
        root: attempt(() => fs.writeFileSync('/x', '')), etc: attempt(() => fs.writeFileSync('/etc/passwd', '')),
        program: attempt(() => fs.writeFileSync('/opt/pinch/runner.cjs', '')),
        proc: attempt(() => fs.writeFileSync('/proc/sys/kernel/hostname', 'x')),
        tmp: execFileSync('/tmp/script').toString(),
        tmpKb: Number(execFileSync('df', ['-k', '--output=size', '/tmp']).toString().split('\\n')[1]),
        networks: fs.readdirSync('/sys/class/net'), addresses: Object.keys(os.networkInterfaces()),
        environment: Object.keys(process.env).sort(), init: fs.readFileSync('/proc/1/comm', 'utf8').trim(),
        sockets: ['/var/run/docker.sock', '/run/docker.sock', '/run/containerd/containerd.sock'].filter((p) => fs.existsSync(p)),
        files: execFileSync('sh', ['-c', 'ulimit -n; ulimit -c']).toString().trim().split('\\n'),
        devices: fs.readdirSync('/dev').filter((name) => /^(sd|vd|nvme|kmsg|mem)/.test(name)),
      };`);
    const seen = await result;
    expect(seen).toMatchObject({
      ...{ root: 'EROFS', etc: 'EROFS', program: expect.stringMatching(/EROFS|EACCES/), proc: 'EROFS' },
      ...{ tmp: 'ran\n', tmpKb: 256 * 1024, networks: ['lo'], addresses: ['lo'], sockets: [], devices: [] },
      ...{ files: ['16384', '0'], init: expect.stringMatching(/init|tini|catatonit/) },
    });
    const { status, uid, environment } = JSON.parse(JSON.stringify(seen));
    expect(uid).toBeGreaterThan(0);
    for (const line of ['CapEff:\t0000000000000000', 'CapBnd:\t0000000000000000', 'NoNewPrivs:\t1', 'Seccomp:\t2'])
      expect(status).toContain(line);
    const allowed = [
      'HOME',
      'HOSTNAME',
      'LANG',
      'NODE_COMPILE_CACHE',
      'NODE_EXTRA_CA_CERTS',
      'NODE_VERSION',
      'PATH',
      'REQUESTS_CA_BUNDLE',
      'SSL_CERT_FILE',
      'YARN_VERSION',
    ];
    expect(environment.filter((name: string) => !allowed.includes(name))).toEqual([]);
    await instance.stop(2_000);
  });

  test('what the engine tells of it holds nothing of this process, and every wall', async () => {
    const { instance } = await world.run(FOREVER);
    const info = await world.engine.getContainer(instance.id).inspect();
    expect(JSON.stringify(info)).not.toContain('canary-5f1d');
    expect(info.Name).toMatch(new RegExp(`^/pinch-${world.homeId.slice(0, 8)}-main-[0-9a-f]{8}$`));
    expect(info.Config.Labels).toMatchObject({ 'pinch.home': world.homeId, 'pinch.group': 'main' });
    expect(info.Config).toMatchObject({ OpenStdin: true, StdinOnce: true, Tty: false });
    expect(info.HostConfig).toMatchObject({
      ...{ NetworkMode: 'none', ReadonlyRootfs: true, CapDrop: ['ALL'], SecurityOpt: ['no-new-privileges'] },
      ...{ PidsLimit: 256, Memory: 1024 ** 3, MemorySwap: 1024 ** 3, NanoCpus: 1e9, ShmSize: 16 * 1024 ** 2 },
      ...{ Init: true, AutoRemove: true, LogConfig: { Type: 'none' }, Privileged: false, CapAdd: null },
      // A disk mounted below a read-only folder would be writable on older engines.
      Mounts: [{ ReadOnly: true, BindOptions: { NonRecursive: true } }],
    });
    await instance.stop(2_000);
  });
});

describe('traffic', () => {
  test('50 MB arrive intact both ways', async () => {
    const bytes = randomBytes(50 * 1024 * 1024);
    let uploaded = '';
    const { instance, result } = await world.run(
      `const { createHash } = require('node:crypto');
       const bytes = Buffer.from(await (await fetch(base + '/down')).arrayBuffer());
       const digest = createHash('sha256').update(bytes).digest('hex');
       await fetch(base + '/up', { method: 'POST', body: bytes });
       return digest;`,
      async (req, res) => {
        if (req.url === '/down') return res.end(bytes);
        const hash = createHash('sha256');
        for await (const chunk of req) hash.update(chunk);
        uploaded = hash.digest('hex');
        return res.end();
      },
    );
    const digest = createHash('sha256').update(bytes).digest('hex');
    expect(await result).toBe(digest);
    expect(uploaded).toBe(digest);
    await instance.stop(2_000);
  });

  test('each event of a stream arrives before the next is sent', async () => {
    let stream: { write(text: string): unknown; end(): unknown } | undefined;
    const { instance, result } = await world.run(
      `const response = await fetch(base + '/events');
       let seen = 0;
       for await (const chunk of response.body) await fetch(base + '/seen', { method: 'POST', body: String(++seen) });
       return seen;`,
      (req, res) => {
        if (req.url === '/events') {
          stream = res;
          res.writeHead(200, { 'content-type': 'text/event-stream' });
          return void res.write('data: 0\n\n');
        }
        // The next one only when the last was seen inside: held back chunks would stop it all.
        let body = '';
        req.on('data', (chunk) => {
          body += chunk;
        });
        return void req.on('end', () => {
          if (body === '50') stream?.end();
          else stream?.write(`data: ${body}\n\n`);
          res.end();
        });
      },
    );
    expect(await result).toBe(50);
    await instance.stop(2_000);
  });

  test('a call that is given up inside is given up on the host', async () => {
    let gone: () => void = () => undefined;
    const aborted = new Promise<void>((resolve) => {
      gone = resolve;
    });
    const { instance, result } = await world.run(
      `const { spawn } = require('node:child_process');
       const curl = spawn('curl', ['-sN', base + '/hang']);
       await new Promise((resolve) => curl.stdout.once('data', resolve));
       curl.kill('SIGKILL');`,
      (_req, res) => {
        res.on('close', gone);
        res.write('thinking');
      },
    );
    await aborted;
    await result;
    await instance.stop(2_000);
  });

  test('200 calls at once are all answered, and no connection is left over', async () => {
    const { instance, result, connections } = await world.run(
      `const http = require('node:http');
       const call = (i) => new Promise((resolve, reject) => http.get(base + '/' + i, { agent: false }, (res) => {
         let text = ''; res.on('data', (c) => { text += c; }).on('end', () => resolve(text)); }).on('error', reject));
       const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => call(i)));
       return answers.every((text, i) => text === 'you said /' + i) ? answers.length : answers;`,
      (req, res) => res.end(`you said ${req.url}`),
    );
    expect(await result).toBe(200);
    await expect.poll(() => connections.size).toBeLessThanOrEqual(2);
    await instance.stop(2_000);
  });

  test('an answer given before the body was read arrives whole, and the connection ends', async () => {
    const { instance, result, connections } = await world.run(
      `const socket = require('node:net').connect(new URL(base).port, '127.0.0.1');
       socket.write('POST /early HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: 100000000\\r\\n\\r\\n' + 'x'.repeat(100_000));
       let text = '';
       socket.on('data', (chunk) => { text += chunk; });
       await new Promise((resolve) => socket.once('end', resolve));
       socket.end();
       return text.length;`,
      (_req, res) => res.writeHead(413, { connection: 'close' }).end('y'.repeat(300_000)),
    );
    expect(await result).toBeGreaterThan(300_000);
    await expect.poll(() => connections.size).toBeLessThanOrEqual(1);
    await instance.stop(2_000);
  });
});

describe('a container that means ill', () => {
  test('floods stdout: its link ends, it is gone, and this process has not grown', async () => {
    const before = process.memoryUsage().rss;
    const { instance } = await world.run(
      `const fs = require('node:fs'); const junk = Buffer.alloc(1 << 20, 'x');
       for (;;) { try { fs.writeSync(1, junk); } catch (error) { if (error.code !== 'EAGAIN') throw error; } }`,
    );
    expect((await instance.closed).reason).toMatch(/link/);
    await expect.poll(() => world.containers()).not.toContain(instance.id);
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
  });

  test('floods stderr: the log takes a little of it, and the link goes on', async () => {
    world.lines.length = 0;
    const { instance, result } = await world.run(
      `const fs = require('node:fs'); const junk = Buffer.alloc(1 << 20, 'noise '.repeat(20) + '\\n');
       for (let i = 0; i < 100;) { try { i += fs.writeSync(2, junk) / junk.length; } catch (error) { if (error.code !== 'EAGAIN') throw error; } }
       return (await fetch(base + '/still')).status;`,
    );
    expect(await result).toBe(200);
    expect(JSON.stringify(world.lines).length).toBeLessThan(2 * 1024 * 1024);
    await instance.stop(2_000);
  });

  test('takes more than its memory: it ends with that as the reason', async () => {
    const { instance } = await world.run(`const all = []; for (;;) all.push(Buffer.alloc(64 << 20, 1));`);
    const reason = 'exit code 137: out of memory';
    expect(await instance.closed).toEqual({ reason, outOfMemory: true, exitCode: 137 });
  });

  test('a program in it that takes more than its memory ends, and the runner does not; killed from outside later, that is the reason', async () => {
    const { instance, result } = await world.run(
      `const { spawnSync } = require('node:child_process');
       const { signal, status } = spawnSync(process.execPath, ['-e', 'const all = []; for (;;) all.push(Buffer.alloc(64 << 20, 1));']);
       setInterval(() => undefined, 1000); return signal ?? status;`,
    );
    expect(await result).toBe('SIGKILL');
    await world.engine.getContainer(instance.id).kill();
    const reason = 'exit code 137: it was killed from outside';
    expect(await instance.closed).toEqual({ reason, outOfMemory: false, exitCode: 137 });
  });

  test.each(['kill', 'remove'] as const)('docker %s is not a lack of memory', async (how) => {
    const { instance, result } = await world.run(`setInterval(() => undefined, 1000); return 1;`);
    await result;
    await world.engine.getContainer(instance.id)[how]({ force: true });
    const reason = 'exit code 137: it was killed from outside';
    expect(await instance.closed).toEqual({ reason, outOfMemory: false, exitCode: 137 });
  });

  test('exit code 137 that nobody explains is told as that', async () => {
    const { instance } = await world.run(`process.kill(process.pid, 'SIGKILL');`);
    const reason = 'exit code 137: it was killed, and the engine does not say why';
    expect(await instance.closed).toEqual({ reason, outOfMemory: false, exitCode: 137 });
  });
});

describe('the end', () => {
  test('a runner that ends by itself says how', async () => {
    const { instance } = await world.run('process.exit(7);');
    expect(await instance.closed).toEqual({ reason: 'exit code 7', exitCode: 7, outOfMemory: false });
  });

  test('stop ends it, twice is harmless, and afterwards it is gone', async () => {
    const { instance } = await world.run(FOREVER);
    await Promise.all([instance.stop(5_000), instance.stop(5_000)]);
    expect(await world.containers()).not.toContain(instance.id);
    expect(await instance.closed).toMatchObject({ reason: 'it was stopped', outOfMemory: false });
    await instance.stop(0);
  });

  test('a runner that will not go is killed after the grace', async () => {
    const { instance, result } = await world.run(
      `process.removeAllListeners('SIGHUP'); process.on('SIGHUP', () => undefined); process.on('SIGTERM', () => undefined);
       setInterval(() => undefined, 1000); return 'deaf';`,
    );
    await result;
    await instance.stop(300);
    expect(await world.containers()).not.toContain(instance.id);
    expect(await instance.closed).toMatchObject({ reason: 'it was stopped', exitCode: 137, outOfMemory: false });
  });

  test('reap removes what is left of this home and nothing of another', async () => {
    const other = world.sandboxOf('another-home');
    const spec = { folder: 'main', mounts: [programMount(world.program)] };
    const theirs = (await startScene(other, spec, FOREVER)).instance;
    // Created and never started: what a host leaves that is killed between the two.
    await world.engine.createContainer({ Image: agentImage(), Labels: { 'pinch.home': world.homeId } });
    const { instance: mine } = await world.run(FOREVER);
    // It asks again when the engine was away: what works must go on.
    expect(await world.sandbox.reap()).toBe(1);
    expect(await world.containers()).toEqual([mine.id]);
    // To the next process it is left over.
    expect(await world.sandboxOf(world.homeId).reap()).toBe(1);
    expect(await world.containers()).toEqual([]);
    expect(await world.containers('another-home')).toEqual([theirs.id]);
    await theirs.stop(0);
  });
});
