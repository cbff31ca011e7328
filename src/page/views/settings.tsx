// What is set and where it is from; secrets are only said to be set. And who is signed in.
import { z } from 'zod';
import { Facts, Name, Table } from '../parts.js';
import { texts } from '../texts.js';
import type { View } from '../view.js';

const t = texts.settings;

const settings = z.object({
  home: z.string(),
  timeZone: z.string(),
  settings: z.array(
    z.object({ name: z.string(), value: z.string(), from: z.enum(['environment', '.env', 'default']) }),
  ),
});
const prompt = z.object({
  parts: z.array(
    z.object({ name: z.string(), kind: z.string(), groups: z.array(z.string()), adds: z.string(), tokens: z.number() }),
  ),
});

export const settingsView: View = {
  name: 'settings',
  topics: [],
  async render({ read }) {
    const [all, added] = [await read('/api/settings', settings), await read('/api/prompt', prompt)];
    if (!all) return undefined;
    return {
      body: (
        <>
          <Facts
            facts={[
              [t.home, <code>{all.home}</code>],
              [t.zone, all.timeZone],
            ]}
          />
          <p class="quiet">{t.hint}</p>
          <Table
            caption={t.list}
            rows={all.settings}
            empty={t.none}
            columns={[
              { name: t.name, cell: ({ name }) => <code>{name}</code> },
              {
                name: t.value,
                cell: ({ value }) =>
                  value === '' ? <span class="quiet">{t.unset}</span> : <Name of={value} max={300} />,
              },
              { name: t.from, cell: ({ from }) => <span class="quiet">{t.fromNames[from]}</span> },
            ]}
          />
          <section aria-labelledby="prompt">
            <h2 id="prompt">{t.prompt}</h2>
            <Table
              caption={t.prompt}
              rows={added?.parts ?? []}
              empty={t.noPrompt}
              columns={[
                { name: t.name, cell: ({ name, kind }) => `${name} (${kind})` },
                { name: t.adds, cell: ({ adds }) => adds },
                { name: t.groups, cell: ({ groups }) => groups.join(', ') },
                { name: t.tokens, isNumber: true, cell: ({ tokens }) => tokens },
              ]}
            />
          </section>
          <section aria-labelledby="browsers">
            <h2 id="browsers">{t.browsers}</h2>
            <div class="actions">
              <button type="button" class="small" data-log-out="/api/session">
                {t.logOut}
              </button>
              <button type="button" class="small danger" data-log-out="/api/sessions" data-confirm={t.logOutAllSure}>
                {t.logOutAll}
              </button>
            </div>
          </section>
        </>
      ),
    };
  },
};
