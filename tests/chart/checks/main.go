// Runs the chart's checks on values, with Go's own template engine: helm is not needed, and not replaced.
//
// Arguments: the folder of the chart. Standard input: one JSON document of values per line. Standard output: for each
// line the text of the check that failed, or an empty line. The functions are those of Helm that _checks.tpl and
// _helpers.tpl use.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"text/template"
)

type object = map[string]interface{}

type failure struct{ text string }

func (f failure) Error() string { return f.text }

type files struct{ folder string }

// Get returns the content of a file of the chart, or an empty text.
func (f files) Get(name string) string {
	content, _ := os.ReadFile(filepath.Join(f.folder, name))
	return string(content)
}

func kindOf(value interface{}) string {
	if value == nil {
		return "invalid"
	}
	return reflect.ValueOf(value).Kind().String()
}

func isEmpty(value interface{}) bool {
	if value == nil {
		return true
	}
	v := reflect.ValueOf(value)
	switch v.Kind() {
	case reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	}
	return v.IsZero()
}

func list(items ...interface{}) []interface{} { return items }

func dict(pairs ...interface{}) object {
	made := object{}
	for i := 0; i+1 < len(pairs); i += 2 {
		made[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return made
}

func number(value interface{}) float64 {
	switch n := value.(type) {
	case float64:
		return n
	case int:
		return float64(n)
	}
	return 0
}

// merge returns a map with the members of all; the first one that has a key wins.
func merge(from ...object) object {
	made := object{}
	for _, one := range from {
		for key, value := range one {
			if _, found := made[key]; !found {
				made[key] = value
			}
		}
	}
	return made
}

func functions(root *template.Template) template.FuncMap {
	return template.FuncMap{
		"include": func(name string, data interface{}) (string, error) {
			var out strings.Builder
			err := root.ExecuteTemplate(&out, name, data)
			return out.String(), err
		},
		"fail": func(text string) (string, error) { return "", failure{text} },
		"dict": dict,
		"list": list,
		"append": func(to []interface{}, item interface{}) []interface{} {
			return append(append([]interface{}{}, to...), item)
		},
		"get": func(from object, key string) interface{} {
			if value, found := from[key]; found {
				return value
			}
			return ""
		},
		"hasKey": func(from object, key string) bool { _, found := from[key]; return found },
		"has": func(wanted interface{}, in []interface{}) bool {
			for _, item := range in {
				if reflect.DeepEqual(item, wanted) {
					return true
				}
			}
			return false
		},
		"last": func(in []string) string { return in[len(in)-1] },
		"default": func(fallback interface{}, given ...interface{}) interface{} {
			if len(given) == 0 || isEmpty(given[0]) {
				return fallback
			}
			return given[0]
		},
		"ternary": func(yes, no interface{}, choice bool) interface{} {
			if choice {
				return yes
			}
			return no
		},
		"toString": func(value interface{}) string {
			if value == nil {
				return ""
			}
			return fmt.Sprint(value)
		},
		"kindIs":     func(kind string, value interface{}) bool { return kindOf(value) == kind },
		"lower":      strings.ToLower,
		"contains":   func(part, text string) bool { return strings.Contains(text, part) },
		"hasPrefix":  func(prefix, text string) bool { return strings.HasPrefix(text, prefix) },
		"trimPrefix": func(prefix, text string) string { return strings.TrimPrefix(text, prefix) },
		"trimSuffix": func(suffix, text string) string { return strings.TrimSuffix(text, suffix) },
		"replace":    func(old, new, text string) string { return strings.ReplaceAll(text, old, new) },
		"splitList":  func(separator, text string) []string { return strings.Split(text, separator) },
		"quote":      func(value interface{}) string { return fmt.Sprintf("%q", fmt.Sprint(value)) },
		"trunc": func(length int, text string) string {
			if len(text) > length {
				return text[:length]
			}
			return text
		},
		"ceil":     func(value interface{}) float64 { return math.Ceil(number(value)) },
		"int":      func(value interface{}) int { return int(number(value)) },
		"add":      func(a, b interface{}) int { return int(number(a)) + int(number(b)) },
		"nindent":  func(_ int, text string) string { return text },
		"empty":    isEmpty,
		"deepCopy": func(from object) object { return merge(from) },
		"set":      func(into object, key string, value interface{}) object { into[key] = value; return into },
		"merge":    merge,
		"toYaml":   asJSON, // each JSON document is one of YAML
		"fromYaml": func(text string) object {
			made := object{}
			_ = json.Unmarshal([]byte(text), &made)
			return made
		},
		"dig": dig,
		"omit": func(from object, keys ...string) object {
			made := merge(from)
			for _, key := range keys {
				delete(made, key)
			}
			return made
		},
		"fromJson": func(text string) object {
			made := object{}
			_ = json.Unmarshal([]byte(text), &made)
			return made
		},
		"fromJsonArray": func(text string) []interface{} {
			made := []interface{}{}
			_ = json.Unmarshal([]byte(text), &made)
			return made
		},
		"regexMatch": func(pattern, text string) bool { return regexp.MustCompile(pattern).MatchString(text) },
		"regexFindAll": func(pattern, text string, most int) []string {
			return regexp.MustCompile(pattern).FindAllString(text, most)
		},
		"regexReplaceAll": func(pattern, text, with string) string {
			return regexp.MustCompile(pattern).ReplaceAllString(text, with)
		},
	}
}

func main() {
	chart := os.Args[1]
	root := template.New("chart").Option("missingkey=zero")
	root.Funcs(functions(root))
	for _, name := range []string{"_helpers.tpl", "_checks.tpl"} {
		text, err := os.ReadFile(filepath.Join(chart, "templates", name))
		if err == nil {
			_, err = root.New(name).Parse(string(text))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		values := object{}
		if err := json.Unmarshal(lines.Bytes(), &values); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		data := object{"Values": values, "Files": files{chart}, "Chart": object{"Name": "hookferry", "AppVersion": "0"},
			"Release": object{"Name": "ferry", "Namespace": "hooks"}}
		err := root.ExecuteTemplate(&strings.Builder{}, "hookferry.checks", data)
		var failed failure
		switch {
		case err == nil:
			fmt.Println()
		case errors.As(err, &failed):
			fmt.Println(failed.text)
		default:
			fmt.Println("TEMPLATE ERROR: " + strings.ReplaceAll(err.Error(), "\n", " "))
		}
	}
}

func asJSON(value interface{}) (string, error) {
	made, err := json.Marshal(value)
	return string(made), err
}

// dig returns the value below these keys, or the last but one argument; the last one is where it begins.
func dig(arguments ...interface{}) interface{} {
	last := len(arguments) - 1
	at := arguments[last]
	for _, key := range arguments[:last-1] {
		below, isObject := at.(object)
		if !isObject {
			return arguments[last-1]
		}
		value, found := below[key.(string)]
		if !found {
			return arguments[last-1]
		}
		at = value
	}
	return at
}
