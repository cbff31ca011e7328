// Which engine it is, by what engines say of themselves, and who a container then runs as.
import { expect, test } from 'vitest';
import { describeKind, type EngineKind, identityFor, kindOf, unmountable } from './engine-kind.js';

const podman = { Version: '4.3.1', Components: [{ Name: 'Podman Engine' }, { Name: 'Conmon' }] };
const docker = { Version: '28.1.1', Components: [{ Name: 'Engine' }, { Name: 'containerd' }] };
const plain = { rootless: false, remapped: false, selinux: false };

test.each<[name: string, version: object, info: object, kind: Partial<EngineKind>]>([
  ['Docker', docker, { SecurityOptions: ['name=apparmor', 'name=seccomp,profile=builtin'] }, { name: 'Docker' }],
  ['Docker without a word', { Version: '20.10' }, {}, { name: 'Docker' }],
  ['Docker on an old kernel', docker, { SecurityOptions: null }, { name: 'Docker' }],
  [
    'rootless Docker',
    docker,
    { SecurityOptions: ['name=seccomp,profile=default', 'name=rootless'] },
    { rootless: true },
  ],
  ['Docker with userns-remap', docker, { SecurityOptions: ['name=userns'] }, { remapped: true }],
  ['Docker on Fedora', docker, { SecurityOptions: ['name=selinux', 'name=cgroupns'] }, { selinux: true }],
  ['a profile called selinux', docker, { SecurityOptions: ['name=seccomp,profile=name=selinux'] }, {}],
  ['rootful Podman', podman, { Rootless: false, SecurityOptions: [] }, { name: 'Podman' }],
  ['rootless Podman 4', podman, { Rootless: true, SecurityOptions: [] }, { name: 'Podman', rootless: true }],
  ['rootless Podman 5', podman, { SecurityOptions: ['name=rootless'] }, { name: 'Podman', rootless: true }],
])('%s', (_name, version, info, kind) => {
  expect(kindOf(version, info)).toMatchObject({ name: 'Docker', ...plain, ...kind });
});

test('an answer that is none is refused', () => {
  for (const answer of [[], null, 'Docker', { Version: 4 }]) expect(() => kindOf(answer, {})).toThrow();
});

const anna = { uid: 1001, gid: 100 };
test.each<[kind: Partial<EngineKind>, identity: object]>([
  [{}, { user: anna, securityOpt: [] }],
  [{ name: 'Podman' }, { user: anna, securityOpt: [] }],
  [{ rootless: true }, { user: { uid: 0, gid: 0 }, securityOpt: [] }],
  [
    { rootless: true, selinux: true },
    { user: { uid: 0, gid: 0 }, securityOpt: ['label=disable'] },
  ],
  [
    { name: 'Podman', rootless: true },
    { user: anna, usernsMode: 'keep-id:uid=1001,gid=100', securityOpt: [] },
  ],
  [{ remapped: true }, { user: anna, usernsMode: 'host', securityOpt: [] }],
  [{ selinux: true }, { user: anna, securityOpt: ['label=disable'] }],
  // Its uid 0 is its user: nothing to opt out of.
  [
    { rootless: true, remapped: true },
    { user: { uid: 0, gid: 0 }, securityOpt: [] },
  ],
])('on %j what is written inside is the user’s outside', (kind, identity) => {
  expect(identityFor({ name: 'Docker', version: '1', ...plain, ...kind }, anna)).toEqual(identity);
});

test('doctor says what it found', () => {
  const said = (kind: Partial<EngineKind>) => describeKind({ name: 'Docker', version: '28.1', ...plain, ...kind });
  expect(said({})).toBe('Docker 28.1');
  expect(said({ rootless: true, selinux: true })).toMatch(/^Docker 28.1; rootless: uid 0 inside is you; SELinux: /);
  expect(said({ name: 'Podman', rootless: true })).toBe('Podman 28.1; rootless: containers keep your uid');
  expect(said({ remapped: true })).toMatch(/userns-remap/);
});

test('Podman would take a comma or a quote in a path for its own', () => {
  const odd = ['/home/a,dst=/etc', '/home/"a"', '/home/a, b'];
  const even = ['/home/a b', "/home/it's", '/home/100 %', '/home/a:b', '/home/Bu\u0308ro & $co'];
  for (const path of odd) {
    expect(unmountable({ name: 'Podman', version: '4', ...plain }, [...even, path])).toBe(path);
    expect(unmountable({ name: 'Docker', version: '28', ...plain }, [path])).toBeUndefined();
  }
  expect(unmountable({ name: 'Podman', version: '4', ...plain }, even)).toBeUndefined();
});
