// Real containers: the walls of a server's box, the way its bytes take, what it reaches and how it ends.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HANG_MS, whenBusy } from '../../test/limits.js';
import { startSite, startTlsSite } from '../egress/testing/sites.js';
import { createScene, type McpScene } from './testing/scene.js';

let scene: McpScene;
beforeAll(async () => {
  scene = await createScene();
});
afterAll(() => scene.close());

const SECRET = 'hunter2-of-the-mailbox-91c4';

describe('from inside', () => {
  test('every wall stands; its secret is in its environment and nowhere the engine tells', async () => {
    const box = await scene.probe({ env: { MAIL_PASSWORD: SECRET } });
    const seen = await box.ask(`
      const fs = require('node:fs');
      const attempt = (what) => { try { return what() ?? 'done'; } catch (error) { return error.code; } };
      return {
        password: process.env.MAIL_PASSWORD, home: process.env.HOME, cwd: process.cwd(),
        status: fs.readFileSync('/proc/self/status', 'utf8'), networks: fs.readdirSync('/sys/class/net'),
        root: attempt(() => fs.writeFileSync('/x', '')), server: attempt(() => fs.writeFileSync('/server/x', '')),
        data: attempt(() => fs.writeFileSync('/data/x', 'kept')), tmp: attempt(() => fs.writeFileSync('/tmp/x', '')),
        left: fs.readdirSync('/').filter((name) => ['workspace', 'sessions', 'global', 'skills'].includes(name)).flatMap((name) => fs.readdirSync('/' + name)),
      };`);
    expect(seen).toMatchObject({
      ...{ password: SECRET, home: '/tmp', cwd: '/data', networks: ['lo'], left: [] },
      ...{ root: 'EROFS', server: 'EROFS', data: 'done', tmp: 'done' },
      status: expect.stringMatching(/CapEff:\t0000000000000000[\s\S]*NoNewPrivs:\t1[\s\S]*Seccomp:\t2/),
    });
    const [id = ''] = await scene.world.containers();
    const info = await scene.world.engine.getContainer(id).inspect();
    expect(JSON.stringify(info)).not.toContain(SECRET);
    expect(info.Config.Labels).toMatchObject({ 'pinch.server': 'probe' });
    expect(info.HostConfig).toMatchObject({
      NetworkMode: 'none',
      ReadonlyRootfs: true,
      Memory: 512 * 1024 ** 2,
      PidsLimit: 256,
    });
    expect(readFileSync(`${scene.config.dataDir}/mcp/probe/data/x`, 'utf8')).toBe('kept');
    await box.stop();
    expect(await box.closed).toBe('exit code 0');
    expect(await scene.world.containers()).toEqual([]);
  });

  test('no group reaches it, and it reaches nothing of the host', async () => {
    const box = await scene.probe({ env: { MAIL_PASSWORD: SECRET } });
    const { instance, result } = await scene.world.run(`
      const fs = require('node:fs');
      const processes = fs.readdirSync('/proc').filter((name) => /^\\d+$/.test(name));
      return processes.map((name) => { try { return fs.readFileSync('/proc/' + name + '/environ', 'utf8') + fs.readFileSync('/proc/' + name + '/cmdline', 'utf8'); } catch { return ''; } }).join();`);
    expect(await result).not.toMatch(/hunter2|probe\.mjs/);
    await instance.stop(0);
    const answers = await box.ask(`
      const calls = [['GET', '/work'], ['POST', '/v1/messages'], ['POST', '/send'], ['GET', '/service/x/'], ['POST', '/history'], ['POST', '/mcp/call'], ['POST', '/order']];
      const http = require('node:http');
      return Promise.all(calls.map(([method, path]) => new Promise((resolve) => http.request({ host: '127.0.0.1', port: 8080, method, path, agent: false }, (answer) => resolve(answer.resume().statusCode)).on('error', resolve).end(method === 'POST' ? '{}' : undefined))));`);
    expect(answers).toEqual([403, 403, 403, 403, 403, 403, 403]);
    const tunnels = await box.ask(`
      const http = require('node:http');
      const connect = (path) => new Promise((resolve) => http.request({ host: '127.0.0.1', port: 8080, method: 'CONNECT', path, agent: false }).on('connect', (answer, socket) => { socket.destroy(); resolve(answer.statusCode); }).end());
      return Promise.all(['stdin.invalid:1', 'stdout.invalid:1', '127.0.0.1:22', '169.254.169.254:80', 'example.com:443'].map(connect));`);
    expect(tunnels).toEqual([403, 403, 403, 403, 403]);
    await box.stop();
  });
});

describe('what it reaches', () => {
  test('only the places that are named, also by programs that know no proxy, the certificate checked', async () => {
    const tls = await startTlsSite('imap.example.com');
    const egress = [{ host: 'imap.example.com', ports: [tls.port], address: '127.0.0.1' }];
    const box = await scene.probe({ egress });
    const seen = await box.ask(`
      const fs = require('node:fs'), { execFileSync } = require('node:child_process');
      fs.writeFileSync('/tmp/ca.pem', ${JSON.stringify(readFileSync(tls.ca, 'utf8'))});
      const run = (program, ...args) => { try { return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env.PATH }, timeout: 20000 }); } catch (error) { return 'failed: ' + error.stderr; } };
      const python = (port) => run('python3', '-c', 'import socket, ssl\\n' +
        'plain = socket.create_connection(("imap.example.com", ' + port + '), 10)\\n' +
        'tls = ssl.create_default_context(cafile="/tmp/ca.pem").wrap_socket(plain, server_hostname="imap.example.com")\\n' +
        'tls.sendall(b"GET /by-name HTTP/1.0\\\\r\\\\nHost: imap.example.com\\\\r\\\\n\\\\r\\\\n")\\n' +
        'print(b"".join(iter(lambda: tls.recv(4096), b"")).decode())');
      return {
        python: python(${tls.port}), other: python(${tls.port} + 1),
        openssl: run('openssl', 's_client', '-connect', 'imap.example.com:${tls.port}', '-CAfile', '/tmp/ca.pem', '-verify_return_error', '-verify_hostname', 'imap.example.com'),
        proxy: execFileSync('curl', ['-sS', '--cacert', '/tmp/ca.pem', 'https://imap.example.com:${tls.port}/by-proxy'], { encoding: 'utf8' }),
        hosts: fs.readFileSync('/etc/hosts', 'utf8'),
      };`);
    expect(seen).toMatchObject({
      python: expect.stringContaining('you asked for imap.example.com/by-name'),
      other: expect.stringContaining('failed'),
      openssl: expect.stringContaining('Verify return code: 0 (ok)'),
      proxy: `you asked for imap.example.com:${tls.port}/by-proxy\n`,
      hosts: expect.stringContaining('127.80.0.1\timap.example.com'),
    });
    await box.stop();
    tls.close();
    // Told together, a moment after the connection is over.
    await expect
      .poll(() => scene.lines, { timeout: HANG_MS })
      .toContainEqual(
        expect.objectContaining({ msg: 'a server connects', host: 'imap.example.com', verdict: 'allowed' }),
      );
  });

  test('a port below 1024 is listened at, and a refused connection is closed at once', async () => {
    const egress = [{ host: 'mail.example.com', ports: [25], address: '127.0.0.1' }];
    const box = await scene.probe({ egress });
    const ended = await box.ask(`
      const socket = require('node:net').connect(25, 'mail.example.com');
      const began = Date.now();
      return new Promise((resolve) => socket.on('error', () => undefined).on('connect', () => socket.resume()).on('close', () => resolve(Date.now() - began)));`);
    expect(ended).toBeLessThan(whenBusy(4_000));
    await box.stop();
  });

  test('its own secret goes out over http, one of another does not', async () => {
    const site = await startSite();
    scene.secrets.add('MAIL_PASSWORD', SECRET);
    scene.secrets.add('OTHER_TOKEN', 'the-token-of-something-else-77');
    const egress = [{ host: 'site.example', ports: [site.port], address: '127.0.0.1' }];
    const box = await scene.probe({ egress, env: { MAIL_PASSWORD: SECRET } });
    const post = (text: string) =>
      box.ask(
        `return require('node:child_process').execFileSync('curl', ['-sS', '-d', ${text}, 'http://site.example:${site.port}/'], { encoding: 'utf8' });`,
      );
    expect(await post('process.env.MAIL_PASSWORD')).toContain(SECRET);
    expect(await post('"the-token-of-something-else-77"')).toContain('holds the secret OTHER_TOKEN');
    expect(site.seen.map(({ body }) => body)).not.toContain('the-token-of-something-else-77');
    await box.stop();
    site.close();
  });
});

describe('bytes', () => {
  test('a flood that nobody reads waits inside; read, all of it comes', async () => {
    const folder = await scene.installServer({ name: 'flood', packages: [] });
    const flood = `const piece = Buffer.alloc(1 << 20, 'x'); for (let n = 0; n < 150; n += 1) if (!process.stdout.write(piece)) await new Promise((go) => process.stdout.once('drain', go));`;
    const command = ['node', '--input-type=module', '-e', flood];
    const before = process.memoryUsage().rss;
    const box = await scene.openBox({ server: { name: 'flood', command, egress: [] }, folder, env: {} });
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(process.memoryUsage().rss - before).toBeLessThan(60 * 1024 ** 2);
    let bytes = 0;
    for await (const piece of box.stdout) bytes += piece.length;
    expect(bytes).toBe(150 * 1024 ** 2);
    expect(await box.closed).toBe('exit code 0');
  });

  test('a program that does not read its stdin holds up the writer', async () => {
    const folder = await scene.installServer({ name: 'blind', packages: [] });
    const command = ['sleep', '1000'];
    const box = await scene.openBox({ server: { name: 'blind', command, egress: [] }, folder, env: {} });
    let written = 0;
    for (; written < 400 && box.stdin.write(Buffer.alloc(256 * 1024)); written += 1)
      await new Promise((go) => setTimeout(go, 5));
    expect(written).toBeLessThan(40);
    await box.stop();
    expect(await scene.world.containers()).toEqual([]);
  });
});

describe('the end', () => {
  test('one that ignores the end of its stdin and SIGTERM is killed', async () => {
    const folder = await scene.installServer({ name: 'deaf', packages: [] });
    const command = [
      'node',
      '-e',
      `process.on('SIGTERM', () => console.error('no')); console.log('here'); setInterval(() => 0, 1000)`,
    ];
    const box = await scene.openBox({ server: { name: 'deaf', command, egress: [] }, folder, env: {} });
    await once(box.stdout, 'data');
    await Promise.all([box.stop(), box.stop()]);
    expect(await box.closed).toMatch(/^exit code 137/);
    expect(box.stderrTail()).toContain('no');
    expect(await scene.world.containers()).toEqual([]);
  });

  test('one that ends says how, with what it printed', async () => {
    const folder = await scene.installServer({ name: 'short', packages: [] });
    const open = (command: string[]) =>
      scene.openBox({ server: { name: 'short', command, egress: [] }, folder, env: {} });
    const box = await open(['sh', '-c', 'echo IMAP_HOST is not set >&2; exit 7']);
    expect(await box.closed).toBe('exit code 7');
    expect(box.stderrTail()).toContain('IMAP_HOST is not set');
    const missing = await open(['no-such-program']);
    expect(await missing.closed).toBe('exit code 127');
    expect(missing.stderrTail()).toContain('no-such-program cannot be started');
  });
});
