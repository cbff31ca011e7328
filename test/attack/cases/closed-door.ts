// The door in mode listed: hosts that nobody allowed, and everything that looks a little like the one that is.
import { expect } from 'vitest';
import { type Probe, probeFamily, refusedLine } from '../families.js';
import { slowHeads } from './resources.js';

/** The parser of HTTP refuses it. */
const NO_HTTP = /^400 this is no proper HTTP\/1.1 request/;
const NOT_ALLOWED = /^403 egress to \S+ is not allowed yet: the owner can write \/allow \S+$/;

const unknown = (name: string, target: string, canonical = target.replace(/:\d+$/, '').toLowerCase()): Probe => ({
  name,
  ask: { door: target },
  answer: NOT_ALLOWED,
  event: refusedLine(canonical, 'mode listed'),
});
const noTarget = (name: string, target: string, answer = /^400 CONNECT takes a host and a port/): Probe => ({
  name,
  ask: { say: `CONNECT ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`, waitMs: 1_000 },
  answer,
});
const noUrl = (name: string, url: string, answer: RegExp): Probe => ({
  name,
  ask: { say: `GET ${url} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`, waitMs: 1_000 },
  answer,
});
/** Reads a part of `recorder.example:1234`. */
const siteCase = (name: string, host: (site: string) => string, answer: RegExp): Probe => ({
  name,
  ask: ({ sites }) => ({ say: `CONNECT ${host(sites.recorder)} HTTP/1.1\r\nhost: x\r\n\r\n` }),
  answer,
});

const hosts: Probe[] = [
  siteCase('the site that is allowed, for comparison', (site) => site, /^200 Connection established$/),
  unknown('a host that nobody allowed', 'example.com:443'),
  unknown('a host for mail', 'example.com:25'),
  unknown('a public address', '8.8.8.8:53'),
  unknown('a secret in a name', 'c2VjcmV0.tunnel.example:443'),
  unknown('a secret in many labels', `${'c2VjcmV0.'.repeat(20)}tunnel.example:443`),
  unknown('a name for a service', '_ldap._tcp.tunnel.example:443'),
  siteCase('another port of the site that is allowed', () => 'recorder.example:22', NOT_ALLOWED),
  siteCase('a host below it', (site) => `a.${site}`, NOT_ALLOWED),
  siteCase('a host that ends like it', (site) => `x${site}`, NOT_ALLOWED),
  siteCase('a host that begins like it', () => 'recorder.example.evil.example:443', NOT_ALLOWED),
  siteCase('a host with letters that look like it', (site) => `xn--recrder-jsf.${site.slice(9)}`, NOT_ALLOWED),
  siteCase('it as a user name', () => 'recorder.example@evil.example:443', /^400 CONNECT takes a host and a port$/),
  siteCase('it with a dot behind is the same host', (site) => site.replace(':', '.:'), /^200 Connection established$/),
];

const targets: Probe[] = [
  noTarget('CONNECT without a port', 'example.com'),
  noTarget('CONNECT without a host', ':443'),
  noTarget('CONNECT to port 0', 'example.com:0'),
  noTarget('CONNECT to port 99999', 'example.com:99999'),
  noTarget('CONNECT to a port in letters', 'example.com:https'),
  noTarget('CONNECT to a URL', 'http://example.com:80', /^400 CONNECT takes a host and a port$/),
  noTarget("CONNECT to one of the host's calls", '/send'),
  noTarget('CONNECT to every host', '*:443'),
  noTarget("CONNECT to the engine's socket", 'unix:/var/run/docker.sock'),
  noTarget('CONNECT to a name of 300 letters', `${'a.'.repeat(150)}example:443`),
  noTarget('CONNECT to a name of 20,000 letters', `${'a'.repeat(20_000)}:443`),
  noTarget(
    'CONNECT to a name of 100,000 letters',
    `${'a'.repeat(100_000)}:443`,
    /^(closed|400 this is no proper HTTP\/1.1 request.*)$/,
  ),
  noTarget('a line end in the name', 'a%0d%0aset-cookie:x:443'),
  noTarget('a tab in the name', 'a\tb:443', NO_HTTP),
  noTarget('letters beyond ASCII in the name', '１２７.０.０.１:80', NO_HTTP),
];

const ONLY_HTTP = /^400 only http:\/\/ URLs are passed on; for others use CONNECT$/;
const urls: Probe[] = [
  noUrl('https in a whole URL', 'https://recorder.example/', ONLY_HTTP),
  noUrl('ftp', 'ftp://recorder.example/', ONLY_HTTP),
  noUrl('file', 'file:///etc/passwd', ONLY_HTTP),
  noUrl("the engine's socket as a URL", 'http+unix://%2Fvar%2Frun%2Fdocker.sock/v1.43/info', NO_HTTP),
  noUrl(
    "the engine's socket as a host",
    'http://unix:/var/run/docker.sock:/info',
    /^403 egress to unix is not allowed yet/,
  ),
  noUrl('a URL without a scheme', '//recorder.example/', /^403 This address, .*, is not available/),
  noUrl('a URL without a host', 'http://', ONLY_HTTP),
  noUrl(
    'a URL with a user',
    'http://user@recorder.example/',
    /^400 a URL with a user name or password is not passed on$/,
  ),
  noUrl('a URL with a password', 'http://u:p@recorder.example/', /^400 a URL with a user name or password/),
  noUrl('a URL whose host seems to be the allowed one', 'http://recorder.example:80@evil.example/', /^400 a URL with/),
  noUrl('a backslash in the place of a slash', 'http://evil.example\\@recorder.example/', NO_HTTP),
  noUrl('a hash before the host that is allowed', 'http://evil.example#@recorder.example/', NO_HTTP),
  noUrl(
    'a question mark before it',
    'http://evil.example?@recorder.example/',
    /^403 egress to evil.example is not allowed/,
  ),
];

export const closedDoor = probeFamily('network, in mode listed', [slowHeads, ...hosts, ...targets, ...urls], {
  check: ({ lookedUp }) => expect(lookedUp).toEqual([]),
});
