// A house as the agent has it: the door to services with the skill's rules. There is no Debian package of Home Assistant, so behind it is a strict
// server after its documented REST API.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ServicesHome, startHome } from '../../src/services/testing/home.js';
import { type House, startHomeAssistant } from '../fakes/home-assistant.js';
import { servicesOf } from '../skills/services.js';

let house: House;
let home: ServicesHome;

beforeAll(async () => {
  house = await startHomeAssistant();
  const list = servicesOf('add-home-assistant', { HOME_ASSISTANT_URL: house.url });
  home = await startHome(list, `HOME_ASSISTANT_TOKEN=${house.token}\n`);
});
afterAll(async () => {
  await home.end();
  house.close();
});

const call = (path: string, data?: object) =>
  home.curl(...(data ? ['-d', JSON.stringify(data)] : []), `${home.base}/home-assistant${path}`);

test('states are read without asking and taint nothing', async () => {
  expect(await call('/')).toBe('{"message":"API running."}');
  expect(JSON.parse(await call('/states'))).toContainEqual(
    expect.objectContaining({ entity_id: 'lock.front_door', state: 'locked' }),
  );
  expect(await call('/states/light.none')).toContain('Entity not found.');
  expect(home.store.taints.of('s')).toBeUndefined();
});

test('a light is switched at once', async () => {
  expect(await call('/services/light/turn_on', { entity_id: 'light.kitchen' })).toContain('"state":"on"');
  expect(house.states.get('light.kitchen')).toBe('on');
});

test.each([
  ['lock', 'lock', 'lock.front_door', 'locked'],
  ['cover', 'open_cover', 'cover.garage', 'open'],
  ['alarm_control_panel', 'alarm_arm_away', 'alarm_control_panel.home', 'armed_away'],
])('%s %s is done after a yes', async (domain, service, entity, state) => {
  expect(await call(`/services/${domain}/${service}`, { entity_id: entity })).toContain("needs the owner's yes");
  expect(await home.yesToLast()).toMatchObject({ state: 'done' });
  expect(house.states.get(entity)).toBe(state);
  expect(house.seen.filter((line) => line.includes(service))).toHaveLength(1);
});

test.each([
  ['POST', '/services/lock/unlock'],
  ['POST', '/services/lock/Unlock/'],
  ['POST', '/services/alarm_control_panel/alarm_disarm'],
  ['POST', '/services/shell_command/anything'],
  ['POST', '/config/automation/config/1'],
  ['POST', '/conversation/process'],
  ['POST', '/webhook/secret'],
  ['GET', '/webhook/secret'],
  ['GET', '/camera_proxy/camera.door'],
  ['GET', '/hassio/addons'],
])('%s %s is never asked for', async (method, path) => {
  const before = house.seen.length;
  const answer = await home.curl('-X', method, `${home.base}/home-assistant${path}`);
  expect(answer).toContain("the owner's rules do not allow");
  expect({ seen: house.seen.length, open: home.store.approvals.list('open', 9) }).toEqual({ seen: before, open: [] });
});

test('after the agent read what nobody trusted, a light is asked for as well', async () => {
  home.store.taints.mark('s', home.group.id, 'a web page', 1);
  home.store.taints.markWorking(home.group.id, 'a web page', 1);
  expect(await call('/services/light/turn_off', { entity_id: 'light.kitchen' })).toContain("needs the owner's yes");
  expect(house.states.get('light.kitchen')).toBe('on');
});
