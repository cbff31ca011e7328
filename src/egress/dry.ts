// What a dry run may reach of the outside: it reads plain http pages where the group's rules let it. Nobody can look into a tunnel, so none is made.
import { PinchError } from '../core/errors.js';
import type { Link } from '../gateway/server.js';
import { type DryDeps, holdBack } from '../runs/dry.js';
import type { Target } from './host.js';
import type { ProxyGuards } from './proxy.js';

const READS = /^(GET|HEAD)$/;

export function dryGuards(deps: DryDeps): Required<Pick<ProxyGuards<Link>, 'holds' | 'readsOnly'>> {
  return {
    readsOnly: ({ dryRun }) => dryRun !== undefined,
    holds({ dryRun }, target, method) {
      if (dryRun === undefined || READS.test(method)) return undefined;
      const about = aboutOf(target, method);
      const why = method === 'CONNECT' ? 'nobody can look into a tunnel' : 'it could change something there';
      const refusal = (noted: string) => ({
        kind: 'refused' as const,
        status: 403,
        reason: `dry run: ${why}; ${noted}`,
      });
      try {
        holdBack(deps, dryRun, { what: 'connection', about, key: about });
        return refusal('it is noted, and plain http can be read');
      } catch (error) {
        // Too many already: they are refused all the same.
        if (error instanceof PinchError) return refusal(error.message);
        throw error;
      }
    },
  };
}

const aboutOf = ({ host, port }: Target, method: string): string =>
  method === 'CONNECT' ? `${host}:${port}` : `${method.replace(/[^A-Za-z -]/g, '?').slice(0, 40)} ${host}:${port}`;
