// The control room: for each page its frame, which anybody may load, and its content, which needs the token.
import { Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { describeError } from '../core/errors.js';
import { refuse } from '../core/http.js';
import type { PageDeps } from './deps.js';
import { ControlShell } from './shell.js';
import { texts } from './texts.js';
import type { Asked, View } from './view.js';
import { views } from './views.js';

const FRAME = /^\/([a-z]+)(\/[\w.:-]{1,200})?$/;

/** Whether this path is the frame of a page: it holds no data. */
export const isFrame = (path: string): boolean => {
  const [, name] = FRAME.exec(path) ?? [];
  return views.some((view) => view.name === name);
};

export function addControl(app: Hono, deps: PageDeps): void {
  // The modules' parts of the API once more, without the checks before them: whoever gets here has passed those.
  const api = new Hono();
  for (const add of deps.api) add(api);
  // What one part of a page cannot be had of leaves the rest of it as it is.
  api.onError((error, c) => {
    if (error instanceof HTTPException) return error.getResponse();
    deps.log.error({ path: c.req.path, error: describeError(error) }, 'a part of a page is missing');
    return c.body(null, 500);
  });
  const read: Asked['read'] = async (path, schema) => {
    const answer = await api.request(path);
    return answer.ok ? schema.parse(await answer.json()) : undefined;
  };
  for (const view of views) {
    for (const path of [`/${view.name}`, `/${view.name}/:id`]) {
      app.get(path, (c) => c.html(<ControlShell name={view.name} />));
      app.get(`/api/view${path}`, async (c) => {
        const asked = { deps, id: c.req.param('id'), query: c.req.query(), now: deps.clock.now(), read };
        return c.html(await content(view, asked));
      });
    }
  }
}

async function content(view: View, asked: Asked) {
  const shown = await view.render(asked);
  if (!shown) throw refuse(404, 'not_found', texts.shell.notThere);
  const title = shown.title ?? texts.nav[view.name];
  return (
    <div class="view" data-topics={view.topics.join(' ')} data-title={title}>
      <h1 tabindex={-1}>
        <bdi>{title}</bdi>
      </h1>
      {shown.body}
    </div>
  );
}
