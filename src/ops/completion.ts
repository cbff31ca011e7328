// `pinch completion bash|zsh|fish`: what a shell offers after `pinch`, made of the list of commands. Pure.

export const shells = ['bash', 'zsh', 'fish'] as const;

export interface Completed {
  usage: string;
  what: string;
  words?: readonly string[] | undefined;
  options?: readonly string[] | undefined;
  /** Of a list that is shown in part: it takes `--all`. */
  shown?: number | undefined;
}

/** A script for the shell to read. */
export function completionScript(shell: string, commands: readonly Completed[]): string {
  if (shell === 'fish') return fish(commands);
  return shell === 'zsh' ? zsh(commands) : bash(commands);
}

export const nameOf = ({ usage }: Pick<Completed, 'usage'>): string => usage.split(' ')[0] ?? '';
/** Those it takes beside `--json`. */
export const optionsOf = ({ options = [], shown }: Completed): string[] => [
  ...options,
  ...(shown === undefined ? [] : ['all']),
];
const flagsOf = (command: Completed): string[] => ['json', ...optionsOf(command)].map((name) => `--${name}`);
const allNames = (commands: readonly Completed[]): string => [...new Set(commands.map(nameOf)), 'help'].join(' ');

function bash(commands: readonly Completed[]): string {
  const cases = commands.map(
    (command) =>
      `    ${nameOf(command)}) words="${(command.words ?? []).join(' ')}"; options="${flagsOf(command).join(' ')}" ;;`,
  );
  return `# pinch completion bash >> ~/.bashrc
_pinch() {
  local words="" options="" current="\${COMP_WORDS[COMP_CWORD]}"
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "${allNames(commands)}" -- "$current")); return; fi
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac
  if [[ "$current" == -* ]]; then words="$options"; elif [ "$COMP_CWORD" -gt 2 ]; then words=""; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _pinch pinch
`;
}

function zsh(commands: readonly Completed[]): string {
  const escaped = (text: string) => text.replaceAll("'", "'\\''").replaceAll(':', '\\:');
  const described = commands.map((command) => `    '${nameOf(command)}:${escaped(command.what)}'`);
  const cases = commands.map(
    (command) =>
      `    ${nameOf(command)}) words=(${(command.words ?? []).join(' ')}); options=(${flagsOf(command).join(' ')}) ;;`,
  );
  return `#compdef pinch
# pinch completion zsh >> ~/.zshrc
_pinch() {
  local -a commands words_ options
  commands=(
${described.join('\n')}
    'help:all commands'
  )
  if (( CURRENT == 2 )); then _describe 'command' commands; return; fi
  case "\${words[2]}" in
${cases.join('\n').replaceAll('words=(', 'words_=(')}
  esac
  if [[ "\${words[CURRENT]}" == -* ]]; then compadd -- $options; elif (( CURRENT == 3 && $#words_ )); then compadd -- $words_; else _files; fi
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
compdef _pinch pinch
`;
}

function fish(commands: readonly Completed[]): string {
  const quoted = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const of = (command: Completed, more = '') =>
    `complete -c pinch -n '__fish_seen_subcommand_from ${nameOf(command)}${more}'`;
  const second = '; and test (count (commandline -opc)) -eq 2';
  return [
    '# pinch completion fish > ~/.config/fish/completions/pinch.fish',
    'complete -c pinch -f',
    ...commands.map(
      (command) => `complete -c pinch -n __fish_use_subcommand -a ${nameOf(command)} -d ${quoted(command.what)}`,
    ),
    ...commands.flatMap((command) => [
      ...(command.words ? [`${of(command, second)} -a ${quoted(command.words.join(' '))}`] : []),
      ...(/<file>|\[folder\]/.test(command.usage) ? [`${of(command)} -F`] : []),
      ...flagsOf(command).map((option) => `${of(command)} -l ${option.slice(2)}`),
    ]),
    '',
  ].join('\n');
}
