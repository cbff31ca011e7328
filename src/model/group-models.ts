// The model of a group, where the owner chose one for it, and the chat command that does: a container may call that one besides those of the settings.
import { z } from 'zod';
import type { Config } from '../core/config.js';
import type { Db } from '../core/db.js';
import { PinchError } from '../core/errors.js';
import { nearest } from '../core/nearest.js';
import type { Statements } from '../core/statements.js';
import { type ChatCommand, inGroup } from '../groups/chat-command.js';
import type { createGroups } from '../groups/rows.js';
import { loadPrices } from './prices.js';

/** As back ends name them, some with their maker and a slash. */
export const modelName = z.string().regex(/^[A-Za-z0-9][\w.:/@-]{0,127}$/, 'no model is called that');

export function createGroupModels({ run, value }: Statements) {
  const set = run<[groupId: number, model: string]>(
    `INSERT INTO group_models (group_id, model) VALUES (?1, ?2) ON CONFLICT (group_id) DO UPDATE SET model = excluded.model`,
  );
  const drop = run<[groupId: number]>('DELETE FROM group_models WHERE group_id = ?1');
  return {
    /** Undefined: that of the settings. */
    of: value<[groupId: number], string>('SELECT model FROM group_models WHERE group_id = ?1'),
    /** Holds for attempts that begin from now on. */
    set: (groupId: number, model: string | null) => (model === null ? drop(groupId) : set(groupId, model)),
  };
}

interface ModelCommandDeps {
  store: Pick<Db, 'transaction'> & {
    groups: Pick<ReturnType<typeof createGroups>, 'get'>;
    groupModels: ReturnType<typeof createGroupModels>;
  };
  config: Pick<Config, 'model'>;
}

export function modelCommands({ store, config }: ModelCommandDeps): ChatCommand[] {
  const prices = loadPrices();
  return [
    {
      usage: '/model [<name> | default]',
      what: 'the model that this group works with',
      answer: inGroup(store, ({ id, folder }, { argument }) => {
        if (argument !== '') store.groupModels.set(id, argument.toLowerCase() === 'default' ? null : nameOf(argument));
        const model = store.groupModels.of(id) ?? config.model;
        const why = store.groupModels.of(id) === undefined ? 'as the settings say' : '`/model default` takes that back';
        const since = argument === '' ? '' : ' It counts from the next message on, and for work that is tried again.';
        const near = nearest(model, prices.names);
        const meant = near ? ` Did you mean \`${near}\`?` : '';
        const price = prices.knows(model)
          ? ''
          : ` I do not know what it costs and count it as the dearest one.${meant}`;
        return `The group \`${folder}\` works with \`${model}\` (${why}).${since}${price}`;
      }),
    },
  ];
}

function nameOf(argument: string): string {
  const { data } = modelName.safeParse(argument);
  if (data !== undefined) return data;
  throw new PinchError('bad_model', 'a model has a name of one word', {
    hint: 'for example `/model claude-sonnet-5-5`',
  });
}
