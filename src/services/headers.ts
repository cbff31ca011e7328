// Which headers pass between a container and a service. Pure. Lists of what passes, not of what does not: everything else stays where it is.
import type { IncomingHttpHeaders } from 'node:http';

/** Who somebody is, for whom a connection is, which method is really meant: never passed on, whatever the owner lists. */
export const FORBIDDEN_HEADER =
  /^(host|authorization|.*cookie.*|connection|keep-alive|te|trailer|transfer-encoding|content-length|content-encoding|accept-encoding|upgrade|expect|forwarded|via|destination|location|www-authenticate|proxy-.*|x-forwarded-.*|x-real-ip|x-original-.*|x-rewrite-.*|x-http-method.*|x-method.*|x-pinch-.*)$/;

const SENT =
  /^(accept|accept-language|content-type|content-encoding|content-language|content-disposition|if-(match|none-match|modified-since|unmodified-since|range)|range|user-agent|prefer|depth|cache-control|idempotency-key|git-protocol|[a-z-]+-version)$/;
const RETURNED =
  /^(content-(type|range|language|disposition)|accept-ranges|etag|last-modified|date|age|cache-control|expires|vary|retry-after|allow|dav|link|(x-)?request-id|(x-)?ratelimit-[a-z-]+|x-total(-[a-z]+)?|x-(next-|prev-)?page|x-per-page|preference-applied)$/;

/** Of a request; one of several values of a name is the list of them. */
export const sentHeaders = (headers: IncomingHttpHeaders, more: string[]): Record<string, string> =>
  pick(headers, (name) => (SENT.test(name) && !/^x-(forwarded|original|rewrite)-/.test(name)) || more.includes(name));

export const returnedHeaders = (headers: IncomingHttpHeaders, more: string[]): Record<string, string> =>
  pick(headers, (name) => RETURNED.test(name) || more.includes(name));

function pick(headers: IncomingHttpHeaders, passes: (name: string) => boolean): Record<string, string> {
  const kept = Object.entries(headers).filter(([name]) => passes(name));
  return Object.fromEntries(kept.map(([name, value = '']) => [name, [value].flat().join(', ')]));
}
