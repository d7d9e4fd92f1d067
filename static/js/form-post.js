/* Sends the form that carries the answer back to the application (OAuth 2.0 Form Post Response Mode §2). */
document.querySelector("form[data-form-post]")?.submit();
