// How commands reach other hosts: the variables that lead them to the gateway, and what to say when one did not find it. Pure.
import type { RunSpec } from '../../../src/wire.js';

/**
 * For every command, whoever starts it. Some programs read the names in upper case only, some in lower case only, and none understands every
 * form of a loopback address; Node needs to be told to look at them. pip gives up after 15 s by itself.
 */
export function proxyEnv(port: number): Record<string, string> {
  const proxy = `http://127.0.0.1:${port}`;
  const direct = '127.0.0.1,localhost,::1,[::1]';
  return {
    ...{ HTTP_PROXY: proxy, HTTPS_PROXY: proxy, http_proxy: proxy, https_proxy: proxy },
    ...{ NO_PROXY: direct, no_proxy: direct, NODE_USE_ENV_PROXY: '1', PIP_DEFAULT_TIMEOUT: '60' },
  };
}

/** The configuration by which git reaches hosts of the owner's services through them, on top of its files. */
export function gitEnv(port: number, services: RunSpec['services'] = []): Record<string, string> {
  const rules = services.flatMap(({ name, gitUrl }) => {
    if (gitUrl === undefined) return [];
    const { host, hostname, pathname } = new URL(gitUrl);
    const path = pathname.replace(/\/?$/, '/');
    const own = [`${new URL(gitUrl).origin}${path}`, `git@${hostname}:${path.slice(1)}`, `ssh://git@${host}${path}`];
    return own.map((from) => [`url.http://127.0.0.1:${port}/service/${name}/.insteadOf`, from]);
  });
  const entries = rules.flatMap(([key = '', value = ''], at) => [
    [`GIT_CONFIG_KEY_${at}`, key],
    [`GIT_CONFIG_VALUE_${at}`, value],
  ]);
  return rules.length > 0 ? { GIT_CONFIG_COUNT: `${rules.length}`, ...Object.fromEntries(entries) } : {};
}

/** What programs print that resolve names or connect by themselves. */
const WITHOUT_PROXY =
  /EAI_AGAIN|ENOTFOUND|ENETUNREACH|Temporary failure in name resolution|Name or service not known|Network is unreachable|(Could not|unable to) resolve|unable to look up/i;
/** What programs print that were refused and do not say why. */
const REFUSED = /CONNECT tunnel failed|Proxy response \(\d+\) !== 200|ERR_TUNNEL_CONNECTION_FAILED/;
const LOOKED_AT_CHARS = 2_000;

/** A line for the model behind the output of a command, or nothing. */
export function networkHint(output: string, skills: string): string {
  const end = output.slice(-LOOKED_AT_CHARS);
  if (WITHOUT_PROXY.test(end))
    return `\n[this container has no network but the proxy in HTTP_PROXY, and this program did not use it: ${skills}/network/SKILL.md]`;
  return REFUSED.test(end) ? '\n[the proxy refused this; `curl -sSI <url>` shows why]' : '';
}
