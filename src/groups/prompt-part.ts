// Something of the owner's that makes the prompt of groups longer. Modules list theirs, `main.ts` puts the lists together.

export interface PromptPart {
  name: string;
  /** What it is, e.g. the kind of a service. */
  kind: string;
  /** Folders of the groups whose prompt has it. */
  groups: string[];
  /** What is added, in few words. */
  adds: string;
  tokens: number;
}
