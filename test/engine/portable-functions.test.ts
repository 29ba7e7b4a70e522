import { describeFunctionsOf } from './conformance.ts';

describeFunctionsOf('portable');
