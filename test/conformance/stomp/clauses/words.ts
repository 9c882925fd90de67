import type { Clause, Force, More, Who } from '../../clauses/clause.ts';

type Say = (id: string, who: Who, summary: string, more?: More) => Clause;

const say =
  (force: Force): Say =>
  (id, who, summary, more = {}) => ({ id, who, force, summary, ...more });

export const must = say('must');
export const should = say('should');
export const may = say('may');
