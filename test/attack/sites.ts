// Sites on this machine that the owner allowed, and what the names of other hosts resolve to.
import { createServer, type Server, type Socket } from 'node:net';
import { listen } from '../../src/egress/testing/inside.js';
import { startSite } from '../../src/egress/testing/sites.js';

/** Public, and given to nobody: a connection there fails, which shows that it was tried. */
const NOBODY = '2d00::1';
/** What the daemon is told of names: answer after answer, the last one stays. */
export const names: Record<string, string[][]> = {
  'metadata.google.internal': [['169.254.169.254']],
  'router.lan': [['192.168.1.1']],
  'host.docker.internal': [['192.168.65.254']],
  'loop.example': [['127.0.0.1']],
  'ip6-localhost': [['::1']],
  'rebind.example': [[NOBODY], ['127.0.0.1']],
  'mixed.example': [[NOBODY, '127.0.0.1']],
  'ruled.example': [['127.0.0.1']],
  'nothing.example': [[]],
  'mapped.example': [['::ffff:127.0.0.1']],
  'compatible.example': [['::127.0.0.1']],
  'nat64.example': [['64:ff9b::a9fe:a9fe']],
  'local-nat64.example': [['64:ff9b:1::a9fe:a9fe']],
  'sixtofour.example': [['2002:a9fe:a9fe::1']],
  'teredo.example': [['2001:0:4136:e378:8000:63bf:3fff:fdd2']],
  'unique-local.example': [['fd00:ec2::254']],
  'site-local.example': [['fec0::1']],
  'zone.example': [['fe80::1%lo']],
  'multicast.example': [['ff02::1']],
  'unspecified.example': [['::']],
  '*.words.example': [[NOBODY]],
};

export interface Sites {
  /** `host:port` of a site that takes everything and, once spoken to, sends for ever. */
  endless: string;
  /** `host:port` of one that answers `200 ok` to whatever looks like a head, and keeps what it got. */
  recorder: string;
  recorded: string[];
  /** `host:port` of one that redirects to what its query says. */
  redirector: string;
  close(): void;
}

/** Allowed by `allow`, each at its own port of 127.0.0.1. */
export async function startSites(allow: (host: string, port: number) => Promise<unknown>): Promise<Sites> {
  const endless = await serve(sendForEver);
  const recorded: string[] = [];
  const recorder = await serve((socket) => record(recorded, socket));
  const redirector = await startSite(async (_seen, request, response) => {
    response.writeHead(302, { location: decodeURIComponent(`${request.url}`.split('?')[1] ?? '/') }).end();
  });
  await allow('site.example', endless.port);
  await allow('recorder.example', recorder.port);
  await allow('redirector.example', redirector.port);
  return {
    endless: `site.example:${endless.port}`,
    recorder: `recorder.example:${recorder.port}`,
    recorded,
    redirector: `redirector.example:${redirector.port}`,
    close() {
      for (const site of [endless, recorder, redirector]) site.close();
    },
  };
}

async function serve(talk: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
    talk(socket);
  });
  const port = await listen(server);
  const close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { port, close };
}

function sendForEver(socket: Socket): void {
  const piece = Buffer.alloc(64 * 1024);
  const more = () => {
    while (!socket.destroyed && socket.write(piece));
  };
  socket.resume().once('data', () => more());
  socket.on('drain', more);
}

function record(recorded: string[], socket: Socket): void {
  const at = recorded.push('') - 1;
  socket.on('data', (data) => {
    recorded[at] = `${recorded[at]}${data.toString('latin1')}`;
    if (recorded[at]?.includes('\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
  });
}
