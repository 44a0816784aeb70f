export { CallError } from './errors.ts';
