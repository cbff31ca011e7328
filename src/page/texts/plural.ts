// Numbers of things, in words.
import { countText } from '../format.js';

/** 1 as `1 line`, 2000 as `2,000 lines`. */
export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${countText(count)} ${count === 1 ? one : many}`;
