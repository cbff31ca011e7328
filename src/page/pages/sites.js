// What each group may reach of the internet: its mode and the rules, as the API has them.
import { buttonOf, element, fill } from './elements.js';
import { $ } from './messages.js';
import { openPanel } from './panel.js';
import { callApi } from './session.js';
import sites from './sitetexts.js';
import texts from './texts.js';

export function openSites() {
  // The focus comes back to it when the panel is closed: the button in it is hidden then.
  $('session').querySelector('summary').focus();
  $('session').open = false;
  say('');
  openPanel('sites');
  load();
}

$('allow').addEventListener('submit', async (event) => {
  event.preventDefault();
  const [host, group] = [$('allow-host').value.trim(), $('allow-group').value];
  const isDone = await change('POST', '/api/egress', { host, ...(group && { group }) });
  if (isDone) $('allow-host').value = '';
});

/** Whether it was done; what is shown afterwards is how it is. */
async function change(method, path, body) {
  const { problem } = await callApi(method, path, body);
  await load();
  say(problem ?? sites.done, problem);
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
  $('allow-hint').textContent = fill(sites.hint, { presets: presets.join(', ') });
  $('presets').replaceChildren(...presets.map((name) => optionOf(name)));
  const chosen = $('allow-group').value;
  const folders = all.groups.map(({ folder }) => folder);
  $('allow-group').replaceChildren(...folders.map((folder) => optionOf(folder)), optionOf('', sites.everyGroup));
  if (folders.includes(chosen)) $('allow-group').value = chosen;
  const sections = all.groups.map((group) => groupSection(group, modes[group.folder], rules));
  $('sites-groups').replaceChildren(...sections, section(sites.everyGroupTitle, rulesOf(rules, null)));
}

function groupSection({ id, folder, egressMode }, modeNow, rules) {
  const select = element('select', '');
  select.ariaLabel = fill(sites.reaches, { folder });
  const byDefault = egressMode ? sites.asSettings : `${modeNow}, ${sites.asSettings}: ${sites.modes[modeNow]}`;
  const modes = Object.entries(sites.modes).map(([name, what]) => optionOf(name, `${name}: ${what}`));
  select.append(optionOf('', byDefault), ...modes);
  select.value = egressMode ?? '';
  // Not at each change: the arrow keys go through all of them.
  const set = buttonOf(sites.set, () => change('PATCH', `/api/groups/${id}`, { egress: select.value || null }));
  set.ariaLabel = fill(sites.setReaches, { folder });
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
  return list.children.length > 0 ? list : element('p', 'quiet', sites.noRules);
}

function ruleItem({ id, host, ports, address, until }) {
  const item = element('li', '');
  const more = [
    ports && `${sites.ports} ${ports.join(', ')}`,
    address && `${sites.at} ${address}`,
    until && sites.hour,
  ];
  const remove = buttonOf(texts.remove, () => change('DELETE', `/api/egress/${id}`));
  remove.ariaLabel = `${texts.remove} ${host}`;
  item.append(element('code', '', host), element('span', 'quiet', more.filter(Boolean).join(', ')), remove);
  return item;
}

function optionOf(value, text = value) {
  const option = element('option', '', text);
  option.value = value;
  return option;
}
