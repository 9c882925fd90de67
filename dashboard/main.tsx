import { render } from 'preact';
import './style/tokens.css';
import './style/base.css';
import './style/shell.css';
import { App } from './app.tsx';
import { startRouter } from './router.ts';
import { startSession } from './session.ts';
import { startTheme } from './theme.ts';

startTheme();
startRouter();
startSession();
render(<App />, document.getElementById('app')!);
