// The same call as often as it goes.
import { call, count, main, many } from './lib.mjs';

main(async ({ method = 'POST', path, body, bodies, times, atOnce = 32, runId }) => {
  const answers = await many(times, atOnce, (index) =>
    call(method, path.replace('RUN', runId), bodies ? bodies[index % bodies.length] : body),
  );
  return count(answers.map(({ status }) => status));
});
