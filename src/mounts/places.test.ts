// Which paths no list of the owner opens to a container.
import { expect, test } from 'vitest';
import { homePlaces, placeProblem } from './places.js';

const closed = [
  { path: '/srv/pinch/data', what: 'the home of Pinch' },
  { path: '/opt/pinch', what: 'the code of Pinch' },
  ...homePlaces('/home/olga'),
];

test.each([
  ...['/', '/etc', '/etc/ssl', '/private/etc', '/proc', '/proc/1/root', '/sys', '/dev/shm', '/run', '/run/user/1000'],
  ...[
    '/var/run',
    '/private/var/run',
    '/var/lib/docker/volumes',
    '/boot',
    '/usr/local/bin',
    '/lib64',
    '/System/Volumes',
  ],
  ...['/run/media/olga', '/home', '/home/olga', '/home/ben', '/root', '/Users', '/Users/olga'],
  ...['/home/olga/.ssh', '/data/backup/.ssh/old', '/x/.AWS', '/x/.gnupg', '/x/.kube', '/x/.docker', '/x/.netrc'],
  ...[
    '/x/.config/gcloud',
    '/x/.config/gcloud/logs',
    '/home/olga/.config',
    '/home/olga/.local',
    '/Users/ben/Library/Keychains',
  ],
  ...['/srv/pinch/data', '/srv/pinch/data/sessions', '/srv/pinch', '/srv', '/opt/pinch/src', '/opt'],
])('%s is refused', (path) => {
  expect(placeProblem(path, closed)).toEqual(expect.any(String));
});

test.each([
  ...['/home/olga/Photos', '/home/olga/code/site', '/home/data/x', '/srv/photos', '/srv/pinch-photos', '/opt/pinch2'],
  ...['/run/media/olga/disk', '/media/olga/disk', '/Volumes/Disk', '/Users/Shared', '/var/www', '/etcetera', '/x/ssh'],
  ...['/home/olga/.config/gcloud-notes', '/home/olga/docker', '/library', '/root/Photos', '/developer'],
])('%s can be given', (path) => {
  expect(placeProblem(path, closed)).toBeUndefined();
});
