// Places of this machine that no container may see, whatever the owner lists. Pure: looks at paths, not at the disk.
import { dirname, join } from 'node:path';

/** Names that hold keys or an identity, wherever they lie; `a/b`: an entry of a folder of that name. In lower case. */
export const SECRET_NAMES = [
  ...['.ssh', '.gnupg', '.aws', '.azure', '.kube', '.docker', '.netrc', '.pgpass', '.pki', '.password-store'],
  ...['.git-credentials', '.mozilla', '.orbstack', '.colima', '.lima', 'keychains', 'keyrings', 'docker.sock'],
  ...['.config/gcloud', '.config/gh', '.config/op', '.config/pinch', '.local/share/containers'],
];

const SYSTEM =
  /^\/(private\/)?(etc|proc|sys|dev|boot|usr|bin|sbin|lib(32|64)?|System|run(?!\/media\/[^/]+\/[^/])|var\/(run|lib\/(docker|containerd|containers)))(\/|$)/;

/** A place that is refused together with all that is in it and all that contains it. */
export interface ClosedPlace {
  path: string;
  /** As in "it lies in …". */
  what: string;
}

/** What is closed because of who runs Pinch. */
export const homePlaces = (home: string): ClosedPlace[] =>
  SECRET_NAMES.map((name) => ({ path: join(home, name), what: 'the keys of your home directory' }));

/** Why a folder cannot be given to a container; undefined when its path says nothing against it. All paths are real ones, without a link in them. */
export function placeProblem(path: string, closed: ClosedPlace[]): string | undefined {
  if (path === '/') return 'that is the whole machine';
  if (isHome(path)) return "that is somebody's whole home directory";
  if (SYSTEM.test(path)) return 'that belongs to the system';
  const name = SECRET_NAMES.find((secret) => `${path.toLowerCase()}/`.includes(`/${secret}/`));
  if (name) return `${name} holds keys`;
  const around = closed.find((place) => lies(place.path, path));
  if (around) return `it contains ${around.what}`;
  const within = closed.find((place) => lies(path, place.path));
  return within && `it lies in ${within.what}`;
}

const isHome = (path: string): boolean =>
  /^\/(root|home|Users)$/.test(path) || (/^\/(home|Users)$/.test(dirname(path)) && path !== '/Users/Shared');

/** Whether `path` is `folder`, or in it. */
const lies = (path: string, folder: string): boolean => `${path}/`.startsWith(`${folder}/`);
