// What each group may reach of the internet: its mode and the rules, as the API has them.
import { $, buttonOf, element } from './messages.js';
import { openPanel } from './panel.js';
import { callApi } from './session.js';

const MODES = {
  none: 'nothing, whatever the rules say',
  listed: 'what the rules name',
  ask: 'what the rules name; others after a question to you',
  open: 'every public site',
};

export function addSites() {
  $('open-sites').addEventListener('click', () => {
    $('session').open = false;
    say('');
    openPanel('sites');
    load();
  });
  $('allow').addEventListener('submit', async (event) => {
    event.preventDefault();
    const [host, group] = [$('allow-host').value.trim(), $('allow-group').value];
    const isDone = await change('POST', '/api/egress', { host, ...(group && { group }) });
    if (isDone) $('allow-host').value = '';
  });
}

/** Whether it was done; what is shown afterwards is how it is. */
async function change(method, path, body) {
  const { problem } = await callApi(method, path, body);
  await load();
  say(problem ?? 'Done. It counts from now on; connections that are open stay open.', problem);
  // What was pressed may be gone.
  if (!$('sites').contains(document.activeElement)) $('sites-said').focus();
  return problem === undefined;
}

function say(text, problem) {
  $('sites-said').textContent = text;
  $('sites-said').classList.toggle('problem', Boolean(problem));
}

async function load() {
  const [egress, all] = await Promise.all([callApi('GET', '/api/egress'), callApi('GET', '/api/groups')]);
  const problem = egress.problem ?? all.problem;
  if (problem) return say(problem, problem);
  const { rules, modes, presets } = egress;
  $('allow-hint').textContent = `A host, *. and a host, or one of ${presets.join(', ')}.`;
  $('presets').replaceChildren(...presets.map((name) => optionOf(name)));
  const chosen = $('allow-group').value;
  const folders = all.groups.map(({ folder }) => folder);
  $('allow-group').replaceChildren(...folders.map((folder) => optionOf(folder)), optionOf('', 'every group'));
  if (folders.includes(chosen)) $('allow-group').value = chosen;
  const sections = all.groups.map((group) => groupSection(group, modes[group.folder], rules));
  $('sites-groups').replaceChildren(...sections, section('Every group', rulesOf(rules, null)));
}

function groupSection({ id, folder, egressMode }, modeNow, rules) {
  const select = element('select', '');
  select.ariaLabel = `What ${folder} reaches`;
  const byDefault = egressMode ? 'as in the settings' : `${modeNow}, as in the settings: ${MODES[modeNow]}`;
  const modes = Object.entries(MODES).map(([name, what]) => optionOf(name, `${name}: ${what}`));
  select.append(optionOf('', byDefault), ...modes);
  select.value = egressMode ?? '';
  // Not at each change: the arrow keys go through all of them.
  const set = buttonOf('Set', () => change('PATCH', `/api/groups/${id}`, { egress: select.value || null }));
  set.ariaLabel = `Set what ${folder} reaches`;
  const mode = element('div', 'mode');
  mode.append(select, set);
  return section(folder, mode, rulesOf(rules, folder));
}

function section(title, ...content) {
  const made = element('section', '');
  made.append(element('h3', '', title), ...content);
  return made;
}

function rulesOf(rules, folder) {
  const list = element('ul', 'rules');
  list.append(...rules.filter(({ group }) => group === folder).map(ruleItem));
  return list.children.length > 0 ? list : element('p', 'quiet', 'No rules.');
}

function ruleItem({ id, host, ports, address, until }) {
  const item = element('li', '');
  const more = [ports && `ports ${ports.join(', ')}`, address && `at ${address}`, until && 'for an hour'];
  const remove = buttonOf('Remove', () => change('DELETE', `/api/egress/${id}`));
  remove.ariaLabel = `Remove ${host}`;
  item.append(element('code', '', host), element('span', 'quiet', more.filter(Boolean).join(', ')), remove);
  return item;
}

function optionOf(value, text = value) {
  const option = element('option', '', text);
  option.value = value;
  return option;
}
