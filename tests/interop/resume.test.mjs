import { Prosody } from '../support/prosody.mjs';
import { openPlace } from './scenarios/place.mjs';
import { testResume } from './scenarios/resume.mjs';

testResume(openPlace(() => Prosody.start(), { keepalive: 1 }));
