import * as z from 'zod';
import { PROBLEMS, type ProblemCode } from '../problems.ts';
import { named } from './named.ts';

export const problem = named(
  'Problem',
  z
    .object({
      type: z.string(),
      title: z.string(),
      status: z.int(),
      code: z.enum(Object.keys(PROBLEMS) as [ProblemCode, ...ProblemCode[]]),
      detail: z.string(),
      errors: z
        .array(z.object({ path: z.string(), message: z.string() }))
        .optional()
        .describe('What in the request was wrong'),
      missingScope: z.string().optional().describe('With `forbidden`: the scope that the caller lacks'),
    })
    .describe('Why a request failed (RFC 9457)'),
);
